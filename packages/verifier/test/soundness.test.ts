/**
 * Accepted random programs run in the paranoid interpreter, where every access must lie in the object that it may touch: one frame of
 * the stack, the context, the packet as far as it goes, a value that was looked up, a record that was reserved. What helpers are given
 * is held to the same; what was taken is given back, and what comes back is in range.
 *
 * SOUNDNESS=100000 asks for more than a few, SOUNDNESS_SEED begins elsewhere. A violation comes out shrunk.
 */

import { describe, expect, test } from 'vitest';
import { disassemble } from '@libbpf-ts/isa';
import { verify } from '@libbpf-ts/verifier';
import type { VerifierRequest } from '@libbpf-ts/verifier';
import { assembleProgram } from './support/case.ts';
import type { Assembled } from './support/case.ts';
import { randomProgram } from './support/random-program.ts';
import { isNothing, shrink } from './support/shrink.ts';
import { WatchedKernel } from './support/watched-kernel.ts';

const COUNT = Number(process.env['SOUNDNESS'] ?? 150);
const FIRST = Number(process.env['SOUNDNESS_SEED'] ?? 1);
/** Types that BPF_PROG_TEST_RUN runs. */
const RUNNABLE = ['sched_cls', 'xdp', 'socket_filter', 'cgroup_skb', 'lwt_xmit', 'raw_tracepoint'];
/** Programs that a kernel runs before a fresh one takes over. */
const KERNEL_LIFE = 200;

async function smallest(of: Assembled, seed: number): Promise<string> {
  const small = await shrink(of, (candidate) => new WatchedKernel().try(candidate, seed).violations.length > 0);
  const { insns } = small;
  const lines = insns.map((insn, at) => `${at}: ${disassemble(insn, insns[at + 1])}`);
  return lines.filter((_, at) => !isNothing(insns[at]!)).join('\n');
}

test(`${COUNT} random programs touch only what is theirs`, { timeout: 7_200_000 }, async () => {
  let kernel = new WatchedKernel();
  let tried = 0;
  let runs = 0;
  let checked = 0;
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const program = randomProgram(seed);
    if (!RUNNABLE.includes(program.type)) continue;
    if (++tried % KERNEL_LIFE === 0) {
      checked += kernel.checked;
      kernel = new WatchedKernel();
    }
    const assembled = assembleProgram(program);
    const { ran, violations } = kernel.try(assembled, seed);
    if (ran) runs++;
    if (violations.length > 0)
      expect.fail(`seed ${seed}, ${program.type}: ${violations.join('; ')}\n${await smallest(assembled, seed)}`);
  }
  console.log(`${tried} programs, ${runs} runs, ${checked + kernel.checked} accesses checked`);
  expect(runs).toBeGreaterThan(COUNT / 5);
});

/** Verifies one program while another, of as many instructions, runs. */
function lie(type: string, said: string, done: string): readonly string[] {
  const instead = assembleProgram({ type, text: said }).insns;
  const kernel = new WatchedKernel((request: VerifierRequest) => {
    expect(request.insns.length).toBe(instead.length);
    // Maps are named by the descriptors that the request has.
    const isMap = (at: number): boolean => request.insns[at]?.code === 0x18 || request.insns[at - 1]?.code === 0x18;
    return verify({ ...request, insns: request.insns.map((insn, at) => (isMap(at) ? insn : instead[at]!)) });
  });
  expect(kernel.try(assembleProgram({ type, text: said }), 1), 'as said').toMatchObject({ ran: true, violations: [] });
  return kernel.try(assembleProgram({ type, text: done }), 1).violations;
}

const lookUp = (map: string, then: string): string =>
  `r6 = r1\n*(u64 *)(r10 -8) = 0\nr2 = r10\nr2 += -8\nr1 = map[${map}]\ncall bpf_map_lookup_elem\nif r0 == 0 goto out\n${then}\nout:\nr0 = 0\nexit`;
const packet = (then: string): string =>
  `r7 = *(u32 *)(r1 +76)\nr3 = *(u32 *)(r1 +80)\nr2 = r7\nr2 += 14\nif r2 > r3 goto out\n${then}\nout:\nr0 = 0\nexit`;
const locked = (then: string): string =>
  lookUp('lock', `r7 = r0\nr1 = r0\nr1 += 4\ncall bpf_spin_lock\nr1 = r7\nr1 += 4\n${then}\ncall bpf_get_prandom_u32`);
const record = (then: string): string =>
  `r1 = map[ringbuf]\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nif r0 == 0 goto out\nr1 = r0\nr2 = 0\n${then}\nout:\nr0 = 0\nexit`;
const bytes = (size: number): string => `r2 = 0\nr3 = r10\nr3 += -8\nr4 = ${size}\ncall bpf_skb_load_bytes\nr0 = 0\nexit`;

describe('the watch sees', () => {
  test.each<[what: string, type: string, said: string, done: string, seen: RegExp]>([
    [
      'the next element of an array',
      'sched_cls',
      lookUp('array', '*(u64 *)(r0 +0) = 1'),
      lookUp('array', '*(u64 *)(r0 +8) = 1'),
      /writes 8 bytes at value \+ 8/,
    ],
    [
      'a store into a map that is read only',
      'sched_cls',
      lookUp('readonly', 'r1 = *(u64 *)(r0 +0)'),
      lookUp('readonly', '*(u64 *)(r0 +0) = 1'),
      /writes 8 bytes at value \+ 0/,
    ],
    [
      'a deeper place on the stack',
      'sched_cls',
      '*(u64 *)(r10 -8) = 0\nr0 = 0\nexit',
      '*(u64 *)(r10 -16) = 0\nr0 = 0\nexit',
      /writes 8 bytes at stack/,
    ],
    ['the end of the packet', 'sched_cls', packet('r4 = *(u8 *)(r7 +0)'), packet('r4 = *(u8 *)(r7 +300)'), /reads 1 bytes/],
    [
      'a store into a packet that is read only',
      'cgroup_skb',
      packet('r4 = *(u8 *)(r7 +0)'),
      packet('*(u8 *)(r7 +0) = 1'),
      /writes 1/,
    ],
    ['the end of the context', 'sched_cls', 'r0 = *(u32 *)(r1 +0)\nexit', 'r0 = *(u32 *)(r1 +192)\nexit', /reads 4 bytes at/],
    [
      'a record that is kept',
      'sched_cls',
      record('call bpf_ringbuf_submit'),
      record('r0 = 0'),
      /a reserved record is not given back/,
    ],
    [
      'a call under a lock',
      'sched_cls',
      locked('call bpf_spin_unlock'),
      locked('r0 = 0'),
      /is called under a spin lock.*is held at the end/s,
    ],
    ['more memory than a helper may fill', 'sched_cls', bytes(8), bytes(16), /bpf_skb_load_bytes is given 16 bytes/],
    ['a result out of range', 'cgroup_skb', 'r0 = 1\nexit', 'r0 = 5\nexit', /returns 5/],
  ])('%s', (_, type, said, done, seen) => expect(lie(type, said, done).join('; ')).toMatch(seen));
});
