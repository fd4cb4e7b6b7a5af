/** Compiling modules of our own, which are known to be valid: what refuses them is the host. */

import { VmError } from '../errors.ts';

/** Throws VmError `no-webassembly` where the host does not allow WebAssembly to be compiled. */
export function compileOwn(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes);
  } catch (error) {
    if (!(error instanceof WebAssembly.CompileError)) throw error;
    throw new VmError(
      'no-webassembly',
      'vm',
      `WebAssembly cannot be compiled here (${error.message}); a page's content security policy must allow 'wasm-unsafe-eval'`,
    );
  }
}
