/** One name for the type that a table of unlike things forgets. */

/**
 * Stands for the private data of some map type, link type or piece of state, where rows of many are kept in one table. Each row's own
 * code knows the type; nobody else looks inside. (`unknown` would not do: the rows take the data as a parameter, too.)
 */
// oxlint-disable-next-line typescript/no-explicit-any
export type Erased = any;
