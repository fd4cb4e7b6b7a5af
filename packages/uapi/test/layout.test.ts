import {
  __sk_buff,
  BPF_ATTR_LAYOUTS,
  BPF_ATTR_SIZE,
  bpf_prog_info,
  BpfProgLoadAttr,
  BpfProgQueryAttr,
  bpfTyped,
  cString,
} from '@libbpf-ts/uapi';
import { expect, test } from 'vitest';

test('layouts have the sizes and offsets of the headers', () => {
  expect(__sk_buff.size).toBe(192);
  expect(__sk_buff.offsetOf('sk')).toBe(168);
  expect(bpf_prog_info.size).toBe(232);
  expect(BpfProgLoadAttr.end).toBe(BPF_ATTR_SIZE);
  for (const layout of Object.values(BPF_ATTR_LAYOUTS)) expect(layout.end).toBeLessThanOrEqual(BPF_ATTR_SIZE);
});

test('the typed form maps buffers and writes results back', () => {
  const ids = new Uint32Array(2);
  const attr = { target_ifindex: 3, prog_ids: ids, count: 2 };
  const result = bpfTyped(
    (_cmd, bytes, size, memory) => {
      const view = new DataView(bytes.buffer);
      const raw = BpfProgQueryAttr.read(view);
      expect(size).toBe(BpfProgQueryAttr.end);
      memory.view(raw.prog_ids as unknown as bigint, 8)![4] = 9;
      BpfProgQueryAttr.write(view, { count: 7 });
      return 0;
    },
    16,
    attr,
  );
  expect(result).toBe(0);
  expect(attr.count).toBe(7);
  expect(ids[1]).toBe(9);
});

test('strings end in NUL', () => expect([...cString('ab')]).toEqual([97, 98, 0]));
