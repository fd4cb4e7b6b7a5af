import { expect, test } from 'vitest';
import { createKernel } from '@libbpf-ts/vmlinux';
test('boot', () => {
  const k = createKernel(); const t = k.task('a');
  const fd = t.bpf(0, { map_type: 1, key_size: 4, value_size: 8, max_entries: 10, map_name: 'x' });
  expect(fd).toBe(3);
  const key = new Uint8Array([1,0,0,0]), value = new Uint8Array([9,0,0,0,0,0,0,1]);
  expect(t.bpf(2, { map_fd: fd, key, value })).toBe(0);
  const out = new Uint8Array(8);
  expect(t.bpf(1, { map_fd: fd, key, value: out })).toBe(0);
  expect(out).toEqual(value);
  const f = k.fork(); const ft = f.twin(t);
  expect(ft.bpf(3, { map_fd: fd, key })).toBe(0);
  expect(t.bpf(1, { map_fd: fd, key, value: out })).toBe(0);
  expect(ft.bpf(1, { map_fd: fd, key, value: out })).toBe(-2);
  const N=200000; let t0=performance.now(); for(let i=0;i<N;i++) t.bpf(1,{map_fd:fd,key,value:out}); console.log('lookup ns', (performance.now()-t0)*1e6/N);
  t0=performance.now(); for(let i=0;i<N;i++) t.bpf(2,{map_fd:fd,key,value:out}); console.log('update ns', (performance.now()-t0)*1e6/N);
  t.exit(); expect(k.leaks()).toEqual([]);
});
