/**
 * Writes `loop.gen.ts`: one `switch` over all operations of the opcode table. `node packages/vm/gen.mjs` runs it; a test compares.
 *
 * Inside the loop `word` is the instruction's first word: operation, twice dst_reg, twice src_reg, a byte each; `code[at + 1]` is the
 * immediate, `code[at + 2]` the offset or the jump's target. A register is two int32: `regs[d]` low, `regs[d + 1]` high.
 */

import type { AluOp, EndOp, JumpOp, Opcode, OpcodeKind } from '@libbpf-ts/isa';

import { operations } from './operation.ts';

/** The result's low half of a 32-bit operation on `a` and `b`; storing it truncates. */
const alu32: Readonly<Record<AluOp, string>> = {
  add: 'a + b',
  sub: 'a - b',
  mul: 'Math.imul(a, b)',
  div: 'b === 0 ? 0 : (a >>> 0) / (b >>> 0)',
  sdiv: 'b === 0 ? 0 : a / b',
  or: 'a | b',
  and: 'a & b',
  lsh: 'a << b',
  rsh: 'a >>> b',
  neg: '-a',
  mod: 'b === 0 ? a : (a >>> 0) % (b >>> 0)',
  smod: 'b === 0 ? a : a % b',
  xor: 'a ^ b',
  mov: 'b',
  movsx8: '(b << 24) >> 24',
  movsx16: '(b << 16) >> 16',
  movsx32: 'b',
  addr_space_cast: 'b',
  arsh: 'a >> b',
};

/** Statements of a 64-bit operation; `b` and `bh` are the second operand. */
const alu64: Readonly<Record<AluOp, readonly string[]>> = {
  add: [
    'const a = regs[d]!;',
    'const sum = (a + b) | 0;',
    'regs[d] = sum;',
    'regs[d + 1] = regs[d + 1]! + bh + (sum >>> 0 < a >>> 0 ? 1 : 0);',
  ],
  sub: ['const a = regs[d]!;', 'regs[d] = a - b;', 'regs[d + 1] = regs[d + 1]! - bh - (a >>> 0 < b >>> 0 ? 1 : 0);'],
  mul: ['mul64(regs, d, b, bh);'],
  div: ['div64(regs, d, b, bh);'],
  sdiv: ['sdiv64(regs, d, b, bh);'],
  or: ['regs[d] = regs[d]! | b;', 'regs[d + 1] = regs[d + 1]! | bh;'],
  and: ['regs[d] = regs[d]! & b;', 'regs[d + 1] = regs[d + 1]! & bh;'],
  lsh: [
    'const a = regs[d]!;',
    'const n = b & 63;',
    'if (n > 31) {',
    '  regs[d] = 0;',
    '  regs[d + 1] = a << n;',
    '} else if (n !== 0) {',
    '  regs[d] = a << n;',
    '  regs[d + 1] = (regs[d + 1]! << n) | (a >>> (32 - n));',
    '}',
  ],
  rsh: [
    'const h = regs[d + 1]!;',
    'const n = b & 63;',
    'if (n > 31) {',
    '  regs[d] = h >>> n;',
    '  regs[d + 1] = 0;',
    '} else if (n !== 0) {',
    '  regs[d] = (regs[d]! >>> n) | (h << (32 - n));',
    '  regs[d + 1] = h >>> n;',
    '}',
  ],
  neg: ['negate(regs, d);'],
  mod: ['mod64(regs, d, b, bh);'],
  smod: ['smod64(regs, d, b, bh);'],
  xor: ['regs[d] = regs[d]! ^ b;', 'regs[d + 1] = regs[d + 1]! ^ bh;'],
  mov: ['regs[d] = b;', 'regs[d + 1] = bh;'],
  movsx8: ['const value = (b << 24) >> 24;', 'regs[d] = value;', 'regs[d + 1] = value >> 31;'],
  movsx16: ['const value = (b << 16) >> 16;', 'regs[d] = value;', 'regs[d + 1] = value >> 31;'],
  movsx32: ['regs[d] = b;', 'regs[d + 1] = b >> 31;'],
  addr_space_cast: ['regs[d] = b;', 'regs[d + 1] = 0;'],
  arsh: [
    'const h = regs[d + 1]!;',
    'const n = b & 63;',
    'if (n > 31) {',
    '  regs[d] = h >> n;',
    '  regs[d + 1] = h >> 31;',
    '} else if (n !== 0) {',
    '  regs[d] = (regs[d]! >>> n) | (h << (32 - n));',
    '  regs[d + 1] = h >> n;',
    '}',
  ],
};

const jump32: Readonly<Record<JumpOp, string>> = {
  jeq: 'a === b',
  jgt: 'a >>> 0 > b >>> 0',
  jge: 'a >>> 0 >= b >>> 0',
  jset: '(a & b) !== 0',
  jne: 'a !== b',
  jsgt: 'a > b',
  jsge: 'a >= b',
  jlt: 'a >>> 0 < b >>> 0',
  jle: 'a >>> 0 <= b >>> 0',
  jslt: 'a < b',
  jsle: 'a <= b',
};

const ordered = (high: string, low: string): string => `ah === bh ? a >>> 0 ${low} b >>> 0 : ${high}`;
const jump64: Readonly<Record<JumpOp, string>> = {
  jeq: 'a === b && ah === bh',
  jgt: ordered('ah >>> 0 > bh >>> 0', '>'),
  jge: ordered('ah >>> 0 > bh >>> 0', '>='),
  jset: '((a & b) | (ah & bh)) !== 0',
  jne: 'a !== b || ah !== bh',
  jsgt: ordered('ah > bh', '>'),
  jsge: ordered('ah > bh', '>='),
  jlt: ordered('ah >>> 0 < bh >>> 0', '<'),
  jle: ordered('ah >>> 0 < bh >>> 0', '<='),
  jslt: ordered('ah < bh', '<'),
  jsle: ordered('ah < bh', '<='),
};

const swap: Readonly<Record<16 | 32 | 64, readonly string[]>> = {
  16: ['regs[d] = swap32(regs[d]!) >>> 16;', 'regs[d + 1] = 0;'],
  32: ['regs[d] = swap32(regs[d]!);', 'regs[d + 1] = 0;'],
  64: ['const a = regs[d]!;', 'regs[d] = swap32(regs[d + 1]!);', 'regs[d + 1] = swap32(a);'],
};
const end: Readonly<Record<EndOp, Readonly<Record<16 | 32 | 64, readonly string[]>>>> = {
  le: { 16: ['regs[d] = regs[d]! & 0xffff;', 'regs[d + 1] = 0;'], 32: ['regs[d + 1] = 0;'], 64: [] },
  be: swap,
  bswap: swap,
};

/** Reads of unsigned values (low half) and of signed ones. */
const read: Readonly<Record<1 | 2 | 4 | 8, readonly [unsigned: string, signed: string]>> = {
  1: ['view.getUint8(address)', 'view.getInt8(address)'],
  2: ['view.getUint16(address, true)', 'view.getInt16(address, true)'],
  4: ['view.getInt32(address, true)', 'view.getInt32(address, true)'],
  8: ['view.getInt32(address, true)', 'view.getInt32(address, true)'],
};
const write: Readonly<Record<1 | 2 | 4 | 8, (value: string, high: string) => readonly string[]>> = {
  1: (value) => [`view.setInt8(address, ${value});`],
  2: (value) => [`view.setInt16(address, ${value}, true);`],
  4: (value) => [`view.setInt32(address, ${value}, true);`],
  8: (value, high) => [`view.setInt32(address + 4, ${high}, true);`, `view.setInt32(address, ${value}, true);`],
};

/** `address`, of `size` bytes, from a base register. */
function place(base: 'd' | 's', size: number, kind: 'READ' | 'WRITE'): string[] {
  return [
    `if (regs[${base} + 1] !== 0) machine.refuse();`,
    `const address = (regs[${base}]! + code[at + 2]!) | 0;`,
    `if (guarded) machine.check(address, ${size}, ${kind}, ${base});`,
  ];
}

const D = 'const d = (word >>> 8) & 0xff;';
const S = 'const s = word >>> 16;';
const NEXT = 'at += 4;';
const LEAVE = ['machine.at = at;', 'machine.left = left;'];
const RESUME = [
  'code = machine.code;',
  'at = machine.at;',
  'left = machine.left;',
  'view = machine.arena.view;',
  'if (machine.done) return left;',
];

type Case = { readonly [K in OpcodeKind]: (opcode: Extract<Opcode, { kind: K }>) => readonly string[] };

/** The body of each case, up to its `continue`. A kind without a line here does not compile. */
const body: Case = {
  alu({ op, bits, source }) {
    const unary = op === 'neg';
    const moves = op.startsWith('mov') || op === 'addr_space_cast';
    const operand = source === 'k' ? 'code[at + 1]!' : 'regs[s]!';
    const head = [D, ...(source === 'x' ? [S] : []), ...(unary ? [] : [`const b = ${operand};`])];
    if (bits === 32)
      return [...head, ...(moves ? [] : ['const a = regs[d]!;']), `regs[d] = ${alu32[op]};`, 'regs[d + 1] = 0;', NEXT];
    const high = alu64[op].some((line) => line.includes('bh'))
      ? [`const bh = ${source === 'k' ? 'b >> 31' : 'regs[s + 1]!'};`]
      : [];
    return [...head, ...high, ...alu64[op], NEXT];
  },
  end: ({ op, width }) => [D, ...end[op][width], NEXT],
  jump({ op, bits, source }) {
    const operand = source === 'k' ? 'code[at + 1]!' : 'regs[s]!';
    const head = [D, ...(source === 'x' ? [S] : []), 'const a = regs[d]!;', `const b = ${operand};`];
    if (bits === 32) return [...head, `at = (${jump32[op]}) ? code[at + 2]! : at + 4;`];
    return [
      ...head,
      'const ah = regs[d + 1]!;',
      `const bh = ${source === 'k' ? 'b >> 31' : 'regs[s + 1]!'};`,
      `at = (${jump64[op]}) ? code[at + 2]! : at + 4;`,
    ];
  },
  goto: () => ['at = code[at + 2]!;'],
  may_goto: () => ['at = machine.mayGoto() ? code[at + 2]! : at + 4;'],
  call({ target }) {
    if (target === 'subprogram') return ['machine.at = at;', 'machine.enter(at + 4);', 'at = code[at + 2]!;'];
    if (target === 'register') return [D, ...LEAVE, 'machine.callRegister(d);', ...RESUME];
    return [...LEAVE, 'machine.call(code[at + 1]!);', ...RESUME];
  },
  exit: () => [...LEAVE, 'machine.leave();', 'if (machine.done) return left;', 'code = machine.code;', 'at = machine.at;'],
  load({ size, signed }) {
    const head = [D, S, ...place('s', size, 'READ')];
    const value = read[size][signed ? 1 : 0];
    if (size === 8)
      return [...head, `const low = ${value};`, 'regs[d + 1] = view.getInt32(address + 4, true);', 'regs[d] = low;', NEXT];
    if (signed) return [...head, `const value = ${value};`, 'regs[d] = value;', 'regs[d + 1] = value >> 31;', NEXT];
    return [...head, `regs[d] = ${value};`, 'regs[d + 1] = 0;', NEXT];
  },
  store({ size, source }) {
    const [low, high] = source === 'k' ? ['code[at + 1]!', 'code[at + 1]! >> 31'] : ['regs[s]!', 'regs[s + 1]!'];
    return [D, ...(source === 'x' ? [S] : []), ...place('d', size, 'WRITE'), ...write[size](low!, high!), NEXT];
  },
  atomic: ({ size }) => [D, S, ...place('d', size, 'WRITE'), `atomic${size}(code[at + 1]!, regs, s, view, address);`, NEXT],
  ld_imm64: () => [D, 'regs[d] = code[at + 1]!;', 'regs[d + 1] = code[at + 2]!;', 'at += 8;'],
  ld_packet: () => [...LEAVE, 'machine.packetLoad();', ...RESUME],
};

const HEAD = `/** Generated by packages/vm/gen.mjs from generate.ts and the opcode table. Do not edit. */

import { atomic4, atomic8 } from './atomic.ts';
import { div64, mod64, mul64, negate, sdiv64, smod64, swap32 } from './int64.ts';
import { READ, WRITE } from './machine.ts';
import type { Machine } from './machine.ts';

/**
 * Runs at most \`budget\` instructions of \`machine\`; returns how many are left. \`machine.done\` says whether it came to its exit.
 * Throws what a helper throws, and VmTrap; \`machine.at\` is then where.
 */
export function execute(machine: Machine, budget: number): number {
  const { regs } = machine;
  const guarded = machine.guarded;
  let { code, at } = machine;
  let left = budget;
  let view = machine.arena.view;
  for (;;) {
    try {
      for (;;) {
        if (left === 0) {
          machine.at = at;
          return 0;
        }
        left--;
        const word = code[at]!;
        switch (word & 0xff) {
`;
const TAIL = `          default:
            machine.at = at;
            machine.invalid();
        }
      }
    } catch (error) {
      // A load that may fault reads zero then, and the program goes on.
      machine.at = at;
      machine.left = left;
      at = machine.recover(error);
    }
  }
}
`;

/** The text of `loop.gen.ts`. */
export function generateLoop(): string {
  const cases = operations().map(({ number, name, opcode }) => {
    const lines = (body[opcode.kind] as (opcode: Opcode) => readonly string[])(opcode);
    const indented = [...lines, 'continue;'].map((line) => `            ${line}\n`).join('');
    return `          case ${number}: { // ${name}\n${indented}          }\n`;
  });
  return HEAD + cases.join('') + TAIL;
}
