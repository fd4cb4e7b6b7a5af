import { expect, test } from 'vitest';
import { Kernel } from '@libbpf-ts/kernel';
test('boot', () => { const k = new Kernel(); const t = k.task('a'); const a={start_id:0}; expect(t.bpf(23, a)).toBe(0); expect(a).toEqual({start_id:0,next_id:1}); const f=k.fork(); expect(f.twin(t).name).toBe('a'); expect(k.leaks()).toEqual([]); });
