/** The verifier as callers use it: in steps, aborted, with logs of each level and size, with diagnostics. */

import { expect, test } from 'vitest';
import { assemble } from '@libbpf-ts/isa';
import { BPF_PROG_TYPE_SCHED_CLS } from '@libbpf-ts/uapi';
import { Verifier, verify, verifyAsync } from '@libbpf-ts/verifier';
import type { VerifierRequest } from '@libbpf-ts/verifier';
import { schedClsOps } from '@libbpf-ts/verifier/protos';

const request = (text: string, more: Partial<VerifierRequest> = {}): VerifierRequest => ({
  insns: assemble(text),
  name: 'test',
  prog_type: BPF_PROG_TYPE_SCHED_CLS,
  expected_attach_type: 0,
  prog_flags: 0,
  gplCompatible: true,
  ops: schedClsOps,
  resolveMap: () => undefined,
  ...more,
});

const LOOP = 'r1 = 0\nagain:\nr1 += 1\nif r1 < 1000 goto again\nr0 = 0\nexit';

test("the log of level 2 is the kernel's", () => {
  const result = verify(request('r2 = *(u32 *)(r1 +8)\nr2 &= 15\nr0 = r2\nexit', { log_level: 2 }));
  // As Linux 6.18.44 wrote it.
  expect(result.log.split('\n')).toEqual([
    'func#0 @0',
    'Live regs before insn:',
    '      0: .1........ (61) r2 = *(u32 *)(r1 +8)',
    '      1: ..2....... (57) r2 &= 15',
    '      2: ..2....... (bf) r0 = r2',
    '      3: 0......... (95) exit',
    '0: R1=ctx() R10=fp0',
    '0: (61) r2 = *(u32 *)(r1 +8)          ; R1=ctx() R2=scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff))',
    '1: (57) r2 &= 15                      ; R2=scalar(smin=smin32=0,smax=umax=smax32=umax32=15,var_off=(0x0; 0xf))',
    '2: (bf) r0 = r2                       ; R0=scalar(id=1,smin=smin32=0,smax=umax=smax32=umax32=15,var_off=(0x0; 0xf)) R2=scalar(id=1,smin=smin32=0,smax=umax=smax32=umax32=15,var_off=(0x0; 0xf))',
    '3: (95) exit',
    'processed 4 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0',
    '',
  ]);
});

test('a log that does not fit is ENOSPC and says how long it is', () => {
  const whole = verify(request('r0 = 0\nexit', { log_level: 2 }));
  expect(whole.log_true_size).toBe(whole.log.length + 1);
  const cut = verify(request('r0 = 0\nexit', { log_level: 2, log_size: 128 }));
  expect(cut.ok ? '' : cut.errno).toBe('ENOSPC');
  expect(cut.log_true_size).toBe(whole.log_true_size);
  expect(whole.log.endsWith(cut.log)).toBe(true);
});

test('a verification can be done in pieces', () => {
  const verifier = new Verifier(request(LOOP));
  expect(verifier.step(100)).toBeUndefined();
  expect(verifier.progress.processed).toBe(100);
  let result;
  while (!result) result = verifier.step(100);
  expect(result).toMatchObject({ ok: true, stats: { processed: 2003 } });
  expect(verify(request(LOOP)).stats.processed).toBe(2003);
});

test.each([
  [{ instructions: 500 }, /^the budget of 500 instructions/],
  [{ milliseconds: 0 }, /^the budget of 0 ms/],
])('a budget of %j is kept', (budget, message) => {
  const result = verify(request(LOOP), budget);
  if (result.ok) throw new Error('accepted');
  expect(result).toMatchObject({ errno: 'EAGAIN', diagnostics: [{ code: 'budget' }] });
  expect(result.diagnostics[0]!.message).toMatch(message);
  expect(result.stats.processed).toBeLessThanOrEqual(1000);
  expect(verify(request(LOOP), { instructions: 5000, milliseconds: 60_000 }).ok).toBe(true);
});

test('an abort ends it', async () => {
  const abort = new AbortController();
  const seen: number[] = [];
  const running = verifyAsync(request(LOOP), {
    slice: 200,
    signal: abort.signal,
    onProgress: ({ processed }) => {
      seen.push(processed);
      if (seen.length === 3) abort.abort(new Error('enough'));
    },
  });
  await expect(running).rejects.toThrow('enough');
  expect(seen).toEqual([200, 400, 600]);
  expect((await verifyAsync(request(LOOP), { slice: 500 })).ok).toBe(true);
});

test("a refusal tells the register's story", () => {
  const result = verify(
    request('r2 = *(u32 *)(r1 +76)\nr3 = r2\nif r3 > 100 goto out\nr4 = *(u8 *)(r3 +0)\nout:\nr0 = 0\nexit'),
  );
  if (result.ok) throw new Error('accepted');
  expect(result.errno).toBe('EACCES');
  expect(result.log).toBe('');
  expect(result.diagnostics).toMatchObject([
    {
      code: 'packet-out-of-bounds',
      insn: 3,
      register: 3,
      story: [{ insn: 0 }, { insn: 1, text: '(bf) r3 = r2' }, { insn: 2, text: '(25) if r3 > 0x64 goto pc+1 (not taken)' }],
    },
  ]);
});

test('side tables name calls, dead code and stack', () => {
  const result = verify(
    request(
      'call bpf_get_prandom_u32\nr0 = 1\nif r0 == 1 goto out\nr0 = 2\nout:\n*(u64 *)(r10 -24) = 0\nexit'.replace(
        'bpf_get_prandom_u32',
        '7',
      ),
    ),
  );
  if (!result.ok) throw new Error(result.diagnostics[0]?.message);
  expect([...result.calls.values()]).toMatchObject([{ kind: 'helper', id: 7 }]);
  expect([...result.dead]).toEqual([0, 0, 0, 1, 0, 0]);
  expect(result.subprograms).toMatchObject([{ start: 0, end: 6, stackDepth: 24, addressTaken: false }]);
});

test('what is not built is refused in plain words', () => {
  const kernelBtf = {
    kernel: true,
    count: 3,
    find: () => 0,
    declTags: () => [],
    type: (id: number) =>
      id === 1
        ? {
            kind: 'FUNC' as const,
            name: 'bpf_rcu_read_lock',
            size: 0,
            type: 2,
            members: [],
            params: [],
            nelems: 0,
            signed: false,
            linkage: 1,
            componentIdx: -1,
          }
        : {
            kind: 'FUNC_PROTO' as const,
            name: '',
            size: 0,
            type: 1,
            members: [],
            params: [],
            nelems: 0,
            signed: false,
            linkage: 0,
            componentIdx: -1,
          },
  };
  const insns = [{ code: 0x85, dst_reg: 0, src_reg: 2, off: 0, imm: 1 }, ...assemble('r0 = 0\nexit')];
  const result = verify({ ...request('exit'), insns, kernelBtf });
  if (result.ok) throw new Error('accepted');
  expect(result.errno).toBe('EOPNOTSUPP');
  expect(result.diagnostics[0]).toMatchObject({ code: 'unsupported' });
  expect(result.diagnostics[0]!.message).toMatch(/^not supported by this verifier: /);
});
