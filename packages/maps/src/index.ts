/** Everything public of `@libbpf-ts/maps`, spelt out. */

export { mapTypes } from './map-types.ts';
export { maps } from './subsystem.ts';
export { progArrayAdmits } from './prog-array.ts';
