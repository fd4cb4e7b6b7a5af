/** Everything public of `@libbpf-ts/tcx`, spelt out. */

export { tcx } from './subsystem.ts';
export { tcxEntries, tcxView } from './entries.ts';
export type { TcxAttachType, TcxEntries, TcxLink, TcxLinkData, TcxView } from './entries.ts';
export { actionCode } from './runner.ts';
