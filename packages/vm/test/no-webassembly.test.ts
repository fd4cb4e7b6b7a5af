import { afterEach, expect, test, vi } from 'vitest';
import { installMapLookups, VmRuntime } from '@libbpf-ts/vm';

afterEach(() => vi.restoreAllMocks());

test('a host that does not let WebAssembly be compiled is told as such, with the remedy', () => {
  const runtime = new VmRuntime();
  vi.spyOn(WebAssembly, 'Module').mockImplementation(function refuse(): never {
    throw new WebAssembly.CompileError("refused by 'script-src'");
  });
  expect(() => installMapLookups(runtime)).toThrowError(
    expect.objectContaining({ code: 'VM_ERROR', reason: 'no-webassembly', message: expect.stringMatching(/wasm-unsafe-eval/) }),
  );
});
