/** Helpers, callbacks, tail calls, traps, forks: what a run has to do with the runtime, on every engine. */

import { describe, expect, test } from 'vitest';

import { MAP_HEADER, MAP_HEADER_SIZE } from '../src/map-header.ts';
import { installMapLookups } from '../src/map-lookup/install.ts';
import type { Engine } from '../src/engine.ts';
import { VmError } from '../src/errors.ts';
import type { CallTarget, VmHelper } from '../src/program.ts';
import { VmRuntime } from '../src/runtime.ts';
import { tieredEngine } from '../src/tier/tiered.ts';
import { engines, load, program } from './engines.ts';

const tailCall: VmHelper = {
  name: 'bpf_tail_call',
  args: ['u32', 'u32', 'u32'],
  returns: 'void',
  run: () => 0,
  intrinsic: 'tail_call',
};

function progArray(runtime: VmRuntime, slots: readonly number[]): number {
  const map = runtime.arena.allocate(MAP_HEADER_SIZE);
  const data = runtime.arena.allocate(slots.length * 4);
  runtime.arena.u32[(map + MAP_HEADER.max_entries) >> 2] = slots.length;
  runtime.arena.u32[(map + MAP_HEADER.data) >> 2] = data;
  runtime.arena.u32.set(slots, data >> 2);
  return map;
}

describe.each(engines)('%s', (engine) => {
  test('helpers get and give what their types say', () => {
    const seen: number[][] = [];
    const runtime = new VmRuntime();
    const helpers: Record<number, VmHelper> = {
      1: {
        name: 'pair',
        args: ['u64', 'u32'],
        returns: 'u64',
        run: (...args) => (seen.push(args), (runtime.returnHigh.value = 7), -1),
      },
      2: { name: 'signed', args: [], returns: 's32', run: () => -2 },
      3: { name: 'unsigned', args: [], returns: 'u32', run: () => -2 },
      4: { name: 'nothing', args: ['u32'], returns: 'void', run: (...args) => (seen.push(args), 5) },
    };
    const run = (id: number): bigint =>
      load(engine, program(`r1 = 0x100000002 ll\nr2 = -3\ncall ${id}\nexit`, helpers), {}, runtime).loaded.run64(0);
    expect(run(1)).toBe(0x7_ffff_ffffn);
    expect(run(2)).toBe(0xffff_ffff_ffff_fffen);
    expect(run(3)).toBe(0xffff_fffen);
    expect(run(4)).toBe(0n);
    expect(seen).toEqual([[2, 1, -3], [2]]);
  });

  test('a helper may run another program, which has its own stack', () => {
    const runtime = new VmRuntime();
    const inner = load(engine, program('*(u64 *)(r10 -8) = 99\n*(u64 *)(r10 -512) = 99\nr0 = 4\nexit'), {}, runtime).loaded;
    const helpers: Record<number, VmHelper> = { 1: { name: 'inner', args: ['u32'], returns: 's32', run: () => inner.run(0) } };
    const source =
      '*(u64 *)(r10 -8) = 1\n*(u64 *)(r10 -512) = 2\nr1 = r10\ncall 1\nr1 = *(u64 *)(r10 -8)\nr0 *= 16\nr0 += r1\nr1 = *(u64 *)(r10 -512)\nr0 *= 16\nr0 += r1\nexit';
    expect(load(engine, program(source, helpers), {}, runtime).loaded.run(0)).toBe(0x412);
  });

  test('callbacks get u32 arguments and share the runtime', () => {
    const runtime = new VmRuntime();
    const loop: VmHelper = {
      name: 'loop',
      args: ['u32', 'u32', 'u32', 'u64'],
      returns: 's32',
      callsBack: true,
      run: (count, slot, ctx) => {
        for (let index = 0; index < count!; index++) if (runtime.callback(slot!, index, ctx!) !== 0) return index + 1;
        return count!;
      },
    };
    const source = `*(u64 *)(r10 -8) = 0
r1 = 10
r2 = subprog[+10]
r3 = r10
r3 += -8
r4 = 0
call 181
r6 = r0
r0 = *(u64 *)(r10 -8)
r0 <<= 8
r0 |= r6
exit
r3 = *(u64 *)(r2 +0)
r3 += r1
*(u64 *)(r2 +0) = r3
r0 = 0
if r1 != 5 goto pc+1
r0 = 1
exit`;
    const { loaded } = load(engine, program(source, { 181: loop }), {}, runtime);
    expect(loaded.run(0)).toBe((15 << 8) | 6);
  });

  test('bpf_loop counts, stops early, and refuses flags and too many rounds', () => {
    const runtime = new VmRuntime();
    const loop: VmHelper = {
      name: 'bpf_loop',
      args: ['u32', 'u32', 'u32', 'u64'],
      returns: 's32',
      callsBack: true,
      intrinsic: 'loop',
      run: (count, slot, ctx, low, high) => {
        if (low !== 0 || high !== 0) return -22;
        if (count! >>> 0 > 8_388_608) return -7;
        for (let index = 0; index < count!; index++) if (runtime.callback(slot!, index, ctx!) !== 0) return index + 1;
        return count!;
      },
    };
    const source = `r6 = r1
r1 = *(u32 *)(r6 +0)
r2 = subprog[+5]
r3 = r6
r4 = *(u64 *)(r6 +8)
call 181
exit
r3 = *(u32 *)(r2 +16)
r3 += r1
*(u32 *)(r2 +16) = r3
r0 = 0
if r1 != 20 goto pc+1
r0 = 1
exit`;
    const { loaded } = load(engine, program(source, { 181: loop }), {}, runtime);
    const ctx = runtime.arena.allocate(24);
    for (const [count, flags, result, sum] of [
      [0, 0, 0, 0],
      [1, 0, 1, 0],
      [10, 0, 10, 45],
      [50, 0, 21, 210],
      [10, 1, -22, 0],
      [8_388_609, 0, -7, 0],
    ] as const) {
      runtime.arena.u32.set([count, 0, flags, 0, 0], ctx >> 2);
      expect([loaded.run(ctx), runtime.arena.u32[(ctx + 16) >> 2]]).toEqual([result, sum]);
    }
    runtime.arena.u32.set([1, 0, 0, 1, 0], ctx >> 2);
    expect(loaded.run64(ctx)).toBe(BigInt.asUintN(64, -22n));
  });

  test('tail calls replace the program, fall through where they can not, and end after 33', () => {
    const runtime = new VmRuntime();
    const array = progArray(runtime, [0, 0, 0]);
    const source = (index: number): string =>
      `r6 = *(u32 *)(r1 +0)\nr6 += 1\n*(u32 *)(r1 +0) = r6\nr2 = 0x${array.toString(16)} ll\nr3 = ${index}\ncall 12\nr0 = *(u32 *)(r1 +0)\nexit`;
    // r1 to r5 are gone after the call; read through a callee-saved register instead.
    const fixed = (index: number): string =>
      source(index).replace('r6 = *', 'r7 = r1\nr6 = *').replace('r0 = *(u32 *)(r1 +0)', 'r0 = *(u32 *)(r7 +0)');
    const self = load(engine, program(fixed(0), { 12: tailCall }), {}, runtime).loaded;
    const hop = load(engine, program(fixed(1), { 12: tailCall }), {}, runtime).loaded;
    const last = load(engine, program('r0 = 77\nexit'), {}, runtime).loaded;
    const data = runtime.arena.u32[(array + MAP_HEADER.data) >> 2]!;
    runtime.arena.u32.set([self.slot, last.slot, 0], data >> 2);
    const ctx = runtime.arena.allocate(8);
    expect(self.run(ctx)).toBe(34);
    expect(self.run(ctx)).toBe(68);
    expect(hop.run(ctx)).toBe(77);
    expect(self.repeat(ctx, 2)).toBe(69 + 68);
    const empty = load(engine, program(fixed(2), { 12: tailCall }), {}, runtime).loaded;
    const outside = load(engine, program(fixed(3), { 12: tailCall }), {}, runtime).loaded;
    runtime.arena.u32[ctx >> 2] = 0;
    expect([empty.run(ctx), outside.run(ctx)]).toEqual([1, 2]);
  });

  test('a tail call out of a subprogram returns to the caller', () => {
    const runtime = new VmRuntime();
    const last = load(engine, program('*(u64 *)(r10 -8) = 1\nr0 = 5\nexit'), {}, runtime).loaded;
    const array = progArray(runtime, [last.slot]);
    const source = `*(u64 *)(r10 -8) = 100\ncall pc+3\nr1 = *(u64 *)(r10 -8)\nr0 += r1\nexit\n*(u64 *)(r10 -8) = 7\nr2 = 0x${array.toString(16)} ll\nr3 = 0\ncall 12\nr0 = 1\nexit`;
    expect(load(engine, program(source, { 12: tailCall }), {}, runtime).loaded.run(0)).toBe(105);
  });

  test('packet loads give host order, and end the program where there are no bytes', () => {
    const runtime = new VmRuntime();
    const packetLoad: VmHelper = {
      name: 'packet',
      args: ['u32', 'u32', 'u32'],
      returns: 'u64',
      run: (_ctx, offset, size) => {
        runtime.returnHigh.value = (offset! | 0) + size! > 8 ? 1 : 0;
        return 0x100 + offset! * 16 + size!;
      },
    };
    const source = 'r6 = r1\nr7 = 3\nr0 = *(u16 *)skb[r7 + 2]\nr8 = r0\nr0 = *(u32 *)skb[6]\nr0 += r8\nexit';
    const inside = source.replace('skb[6]', 'skb[4]');
    expect(load(engine, program(source, {}, { packetLoad }), {}, runtime).loaded.run(0)).toBe(0);
    expect(load(engine, program(inside, {}, { packetLoad }), {}, runtime).loaded.run(0)).toBe(0x152 + 0x144);
  });

  test('array and hash lookups through the header', () => {
    const runtime = new VmRuntime();
    const slots = installMapLookups(runtime);
    const { arena } = runtime;
    const map = arena.allocate(MAP_HEADER_SIZE);
    const data = arena.allocate(64);
    arena.u32.set([1, 2, 4, 8, 8, 0, slots.array, data, 8], map >> 2);
    arena.u32.set([10, 0, 11, 0, 12, 0, 13, 0, 14, 0, 15, 0, 16, 0, 17, 0], data >> 2);
    const helper: VmHelper = {
      name: 'bpf_map_lookup_elem',
      args: ['u32', 'u32'],
      returns: 'u32',
      intrinsic: 'map_lookup',
      run: (header, key) => runtime.functions.get(arena.u32[(header! + MAP_HEADER.lookup_slot) >> 2]!)!(header, key) as number,
    };
    const known = { address: map, map_type: 2, key_size: 4, value_size: 8, max_entries: 8 };
    const source = `r2 = *(u32 *)(r1 +0)\n*(u32 *)(r10 -4) = r2\nr2 = r10\nr2 += -4\nr1 = 0x${map.toString(16)} ll\ncall 1\nif r0 == 0 goto pc+1\nr0 = *(u64 *)(r0 +0)\nexit`;
    const ctx = arena.allocate(8);
    for (const call of [{ helper, map: known }, { helper }] satisfies CallTarget[]) {
      const { loaded } = load(engine, program(source, {}, { calls: new Map([[6, call]]) }), {}, runtime);
      for (const [index, expected] of [
        [0, 10],
        [7, 17],
        [8, 0],
        [0xffff_ffff, 0],
      ] as const) {
        arena.u32[ctx >> 2] = index;
        expect(loaded.run(ctx)).toBe(expected);
      }
    }
    // A map without a lookup slot is looked up by the helper's own code.
    arena.u32[(map + MAP_HEADER.lookup_slot) >> 2] = 0;
    const own: VmHelper = { ...helper, run: (header, key) => (header === map && arena.u32[key! >> 2] === 3 ? data : 0) };
    for (const call of [{ helper: own, map: known }, { helper: own }] satisfies CallTarget[]) {
      const { loaded } = load(engine, program(source, {}, { calls: new Map([[6, call]]) }), {}, runtime);
      arena.u32[ctx >> 2] = 3;
      expect(loaded.run(ctx)).toBe(10);
      arena.u32[ctx >> 2] = 4;
      expect(loaded.run(ctx)).toBe(0);
    }
  });

  test.each([
    ['below 64 KiB', 'r1 = 0\nr0 = *(u64 *)(r1 +8)\nexit', 1],
    ['over 4 GiB', 'r2 = 0x100000000 ll\nr1 += r2\nr0 = *(u8 *)(r1 +0)\nexit', 3],
    ['before the region', 'r0 = 0\n*(u8 *)(r1 -1) = r0\nexit', 1],
    ['across its end', 'r0 = 0\nlock *(u64 *)(r1 +57) += r0\nexit', 1],
  ])('an access %s traps with its instruction', (_, source, insn) => {
    const runtime = new VmRuntime();
    const ctx = runtime.arena.allocate(64);
    const { loaded } = load(engine, program(source), { region: { start: ctx, end: ctx + 64 } }, runtime);
    expect(() => loaded.run(ctx)).toThrow(
      expect.objectContaining({ code: 'VM_TRAP', reason: 'access', program: 'test', insn }),
    );
    expect(
      load(
        engine,
        program('r0 = *(u64 *)(r1 +56)\n*(u64 *)(r10 -512) = r0\nr0 = 1\nexit'),
        { region: { start: ctx, end: ctx + 64 } },
        runtime,
      ).loaded.run(ctx),
    ).toBe(1);
  });

  test('an access that is larger than the region traps', () => {
    const runtime = new VmRuntime();
    const ctx = runtime.arena.allocate(64);
    const { loaded } = load(engine, program('r0 = *(u64 *)(r1 +0)\nexit'), { region: { start: ctx, end: ctx + 4 } }, runtime);
    expect(() => loaded.run(ctx)).toThrow(expect.objectContaining({ reason: 'access' }));
  });

  test('a load that may fault reads zero where it does', () => {
    const probed = (source: string): number =>
      load(engine, { ...program(source, {}, { probeLoads: new Set([2]) }) }).loaded.run(0);
    expect(probed('r1 = 0x0 ll\nr0 = *(u64 *)(r1 +40)\nexit')).toBe(0);
    expect(probed('r1 = 0x7fff0000 ll\nr0 = *(u64 *)(r1 +40)\nexit')).toBe(0);
    expect(probed('r1 = 0xffff888000000000 ll\nr0 = *(u32 *)(r1 +0)\nexit')).toBe(0);
  });

  test('a helper in WebAssembly is called through its slot', () => {
    const runtime = new VmRuntime();
    // (module (func (export "f") (param i32 i64) (result i64) local.get 1 local.get 0 i64.extend_i32_u i64.sub))
    const bytes = Uint8Array.of(
      0,
      97,
      115,
      109,
      1,
      0,
      0,
      0,
      1,
      7,
      1,
      96,
      2,
      127,
      126,
      1,
      126,
      3,
      2,
      1,
      0,
      7,
      5,
      1,
      1,
      102,
      0,
      0,
      10,
      10,
      1,
      8,
      0,
      32,
      1,
      32,
      0,
      173,
      125,
      11,
    );
    const slot = runtime.functions.allocate();
    runtime.install({ module: new WebAssembly.Module(bytes), slots: { f: slot } });
    const helper: VmHelper = {
      name: 'sub',
      args: ['u32', 'u64'],
      returns: 'u64',
      slot,
      run: (a, low, high) => {
        const value = BigInt.asUintN(64, ((BigInt(high!) << 32n) | BigInt(low! >>> 0)) - BigInt(a! >>> 0));
        runtime.returnHigh.value = Number(value >> 32n) | 0;
        return Number(value & 0xffff_ffffn) | 0;
      },
    };
    const { loaded } = load(engine, program('r1 = 7\nr2 = 0x500000003 ll\ncall 9\nexit', { 9: helper }), {}, runtime);
    expect(loaded.run64(0)).toBe(0x4_ffff_fffcn);
    const fork = runtime.fork(runtime.arena.fork(), (old) => old.program);
    expect(fork.programAt(loaded.slot)!.run64(0)).toBe(0x4_ffff_fffcn);
  });

  test('code that was proved dead is not needed', () => {
    const source = program('r0 = 1\nif r0 == 1 goto pc+1\ncall 4711\nexit');
    const dead = Uint8Array.of(0, 0, 1, 0);
    expect(load(engine, { ...source, fixups: { ...source.fixups, dead } }).loaded.run(0)).toBe(1);
  });

  test('an access outside of the memory traps with instruction and line', () => {
    const { loaded } = load(engine, {
      ...program('r0 = 0\nr1 = 0x7fff0000 ll\nr0 = *(u64 *)(r1 +0)\nexit'),
      lineOf: (insn) => `line of ${insn}`,
    });
    expect(() => loaded.run(0)).toThrow(expect.objectContaining({ reason: 'access', insn: 3, line: 'line of 3' }));
  });

  test('fuel runs out', () => {
    const { runtime, loaded } = load(engine, program('r0 = 0\nr0 += 1\ngoto pc-2\nexit'), { fuel: true });
    runtime.fuel = 10_000;
    expect(() => loaded.run(0)).toThrow(expect.objectContaining({ reason: 'fuel' }));
    expect(runtime.fuel).toBeLessThan(0);
    const short = load(engine, program('r0 = 3\nexit'), { fuel: true }, runtime).loaded;
    runtime.fuel = 10;
    expect(short.run(0)).toBe(3);
    expect(runtime.fuel).toBe(8);
  });

  test('endless recursion is a trap in an unverified program', () => {
    const runtime = new VmRuntime();
    const ctx = runtime.arena.allocate(64);
    const { loaded } = load(
      engine,
      program('call pc+1\nexit\ncall pc-1\nexit'),
      { region: { start: ctx, end: ctx + 64 } },
      runtime,
    );
    expect(() => loaded.run(ctx)).toThrow(expect.objectContaining({ reason: 'call-depth' }));
  });

  test('after a trap the runtime is as before', () => {
    const runtime = new VmRuntime();
    const bad = load(
      engine,
      program('r1 = 0x7fff0000 ll\ncall 1\nr6 = 0x7fff0000 ll\nr0 = *(u64 *)(r6 +0)\nexit', {
        1: { name: 'h', args: [], returns: 's32', run: () => 0 },
      }),
      {},
      runtime,
    ).loaded;
    const good = load(engine, program('r0 = r10\nexit'), {}, runtime).loaded;
    const before = good.run(0);
    for (let round = 0; round < 3; round++) expect(() => bad.run(0)).toThrow();
    expect(good.run(0)).toBe(before);
  });

  test('what a helper throws comes through', () => {
    const helpers: Record<number, VmHelper> = {
      1: {
        name: 'h',
        args: [],
        returns: 's32',
        run: () => {
          throw new Error('mine');
        },
      },
    };
    expect(() => load(engine, program('call 1\nexit', helpers)).loaded.run(0)).toThrow('mine');
  });

  test('a fork runs the same programs on its own memory', () => {
    const runtime = new VmRuntime();
    const ctx = runtime.arena.allocate(8);
    const { loaded } = load(engine, program('r2 = *(u32 *)(r1 +0)\nr2 += 1\n*(u32 *)(r1 +0) = r2\nr0 = r2\nexit'), {}, runtime);
    loaded.run(ctx);
    const fork = runtime.fork(runtime.arena.fork(), (old) => old.program);
    const twin = fork.programAt(loaded.slot)!;
    expect(twin.run(ctx)).toBe(2);
    expect(twin.run(ctx)).toBe(3);
    expect(loaded.run(ctx)).toBe(2);
  });

  test('an unloaded program does not run, and its slots are used again', () => {
    const { runtime, loaded } = load(engine, program('r0 = 1\nexit'));
    loaded.unload();
    expect(() => loaded.run(0)).toThrow(expect.objectContaining({ code: 'VM_ERROR' }));
    expect(load(engine, program('r0 = 2\nexit'), {}, runtime).loaded.slot).toBe(loaded.slot);
  });
});

describe('tiers', () => {
  const tiered = (heat: number): VmRuntime => new VmRuntime({ engines: [tieredEngine({ heat })] });

  test('a program is the JIT`s from the run on that follows its heat, in all its slots', () => {
    const runtime = tiered(3);
    const { loaded } = load('tiered', program('r0 = 7\nexit'), {}, runtime);
    const engines = Array.from({ length: 5 }, () => (expect(loaded.run(0)).toBe(7), loaded.engine));
    expect(engines).toEqual(['first-tier', 'first-tier', 'first-tier', 'jit', 'jit']);
    // Who calls by the slot finds the new functions too, and unloading gives back all.
    expect(runtime.functions.get(loaded.slot)!(0)).toBe(7n);
    const used = runtime.arena.used;
    loaded.unload();
    const again = load('tiered', program('r0 = 7\nexit'), {}, runtime).loaded;
    expect([runtime.arena.used, again.engine]).toEqual([used, 'first-tier']);
  });

  test('what jumps go back over counts', () => {
    const runtime = tiered(1000);
    const { loaded } = load('tiered', program('r0 = 0\nr0 += 1\nif r0 != 300 goto pc-2\nexit'), {}, runtime);
    const engines = Array.from({ length: 5 }, () => (expect(loaded.run(0)).toBe(300), loaded.engine));
    expect(engines).toEqual(['first-tier', 'first-tier', 'jit', 'jit', 'jit']);
  });

  test('a program that becomes hot while it runs, by a helper that runs it, ends as it began', () => {
    const runtime = tiered(5);
    const helper: VmHelper = {
      name: 'again',
      args: ['u32'],
      returns: 's32',
      run: (depth) => (depth! > 0 ? loaded.run(depth! - 1) + depth! : 0),
    };
    const source = 'r6 = r1\n*(u64 *)(r10 -8) = 5\ncall 1\nr1 = *(u64 *)(r10 -8)\nr0 += r1\nr0 += r6\nexit';
    const { loaded } = load('tiered', program(source, { 1: helper }), {}, runtime);
    const expected = load(
      'jit',
      program(source, { 1: { ...helper, run: (depth) => (depth! > 0 ? jit.run(depth! - 1) + depth! : 0) } }),
    );
    const jit = expected.loaded;
    expect(loaded.run(8)).toBe(jit.run(8));
    expect(loaded.engine).toBe('jit');
  });

  test('a function that somebody else put into a slot stays there; who still has the old one is sent on', () => {
    const runtime = tiered(3);
    const { loaded } = load('tiered', program('r0 = 7\nexit'), {}, runtime);
    const { loaded: other } = load('tiered', program('r0 = 8\nexit'), {}, runtime);
    const [old, wrapper] = [runtime.functions.get(loaded.slot)!, runtime.functions.get(other.slot)!];
    runtime.functions.set(loaded.slot, wrapper);
    for (let count = 0; count < 6; count++) expect(old(0)).toBe(7n);
    expect([loaded.engine, loaded.run(0), other.engine]).toEqual(['jit', 8, 'first-tier']);
    expect(runtime.functions.get(loaded.slot)).toBe(wrapper);
    expect(runtime.functions.get(loaded.slot + 1)).not.toBe(old);
  });

  test('a trap after the change is the JIT`s, with its instruction', () => {
    const runtime = tiered(2);
    const { loaded } = load('tiered', program('r0 = 0\nr0 = *(u64 *)(r1 +0)\nexit'), {}, runtime);
    for (let run = 0; run < 4; run++)
      expect(() => loaded.run(0x7fff_0000)).toThrow(expect.objectContaining({ reason: 'access', insn: 1, program: 'test' }));
    expect(loaded.engine).toBe('jit');
  });

  test('a fork has its own heat, and shares what was compiled', () => {
    const runtime = tiered(2);
    const { loaded } = load('tiered', program('r0 = 7\nexit'), {}, runtime);
    loaded.run(0);
    const fork = runtime.fork(runtime.arena.fork(), (old) => old.program);
    const twin = fork.programAt(loaded.slot)!;
    for (let run = 0; run < 3; run++) loaded.run(0);
    expect([loaded.engine, twin.engine]).toEqual(['jit', 'first-tier']);
    for (let run = 0; run < 3; run++) expect(twin.run(0)).toBe(7);
    expect(twin.engine).toBe('jit');
    twin.unload();
    expect(loaded.run(0)).toBe(7);
  });

  test('what the JIT can not take stays in the first tier', () => {
    let asked = 0;
    const hot: Engine = {
      name: 'small',
      prepare(program) {
        asked++;
        throw new VmError('too-large', program.name, 'no room');
      },
    };
    const runtime = new VmRuntime({ engines: [tieredEngine({ heat: 1, hot })] });
    const { loaded } = load('tiered', program('r0 = 7\nexit'), {}, runtime);
    const results = Array.from({ length: 4 }, () => loaded.run(0));
    expect([results, loaded.engine, asked]).toEqual([[7, 7, 7, 7], 'first-tier', 1]);
  });
});

test('a trap behind a tail call names the program that trapped', () => {
  const runtime = new VmRuntime();
  const array = progArray(runtime, [0]);
  const first = load(
    'first-tier',
    program(`r2 = 0x${array.toString(16)} ll\nr3 = 0\ncall 12\nr0 = 0\nexit`, { 12: tailCall }),
    {},
    runtime,
  ).loaded;
  const second = load(
    'first-tier',
    { ...program('r0 = 0\nr1 = 0x7fff0000 ll\nr0 = *(u8 *)(r1 +0)\nexit'), name: 'second' },
    {},
    runtime,
  ).loaded;
  runtime.arena.u32[runtime.arena.u32[(array + MAP_HEADER.data) >> 2]! >> 2] = second.slot;
  expect(() => first.run(0)).toThrow(expect.objectContaining({ reason: 'access', program: 'second', insn: 3 }));
});

test('engines that are not there are named', () => {
  expect(() => load('none', program('exit'))).toThrow(/no engine none/);
});
