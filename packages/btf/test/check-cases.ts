/** BTF bytes with the verdict of BPF_BTF_LOAD: the errno and the last line of the log, as Linux 6.18 gives them. */

import { BTF_INT_SIGNED, BtfBuilder } from '@libbpf-ts/btf';

export function build(add: (b: BtfBuilder, ids: { int: number; u8: number; void: number }) => void): Uint8Array {
  const b = new BtfBuilder();
  add(b, { int: b.int('int', 4, BTF_INT_SIGNED), u8: b.int('u8', 1), void: 0 });
  return b.encode();
}

const header = (change: (view: DataView) => void): Uint8Array => {
  const bytes = build(() => undefined);
  change(new DataView(bytes.buffer));
  return bytes;
};

export const refused: readonly (readonly [what: string, bytes: Uint8Array, verdict: string])[] = [
  ['a header cut short', new Uint8Array(4), 'EINVAL hdr_len not found'],
  ['a header longer than the data', header((v) => v.setUint32(4, 4096, true)), 'EINVAL btf_header not found'],
  ['a wrong magic', header((v) => v.setUint16(0, 7, true)), 'EINVAL Invalid magic'],
  ['a later version', header((v) => v.setUint8(2, 2)), 'ENOTSUPP Unsupported version'],
  ['flags', header((v) => v.setUint8(3, 1)), 'ENOTSUPP Unsupported flags'],
  ['a later header', header((v) => v.setUint32(4, 28, true)), 'E2BIG Unsupported btf_header'],
  ['a gap between sections', header((v) => v.setUint32(8, 4, true)), 'EINVAL Unsupported section found'],
  [
    'strings without an end',
    Object.assign(
      build(() => undefined),
      { [build(() => undefined).length - 1]: 65 },
    ),
    'EINVAL Invalid string section',
  ],
  ['no types', new BtfBuilder().encode(), 'EINVAL No type found'],
  ['an int of too many bits', build((b) => b.int('x', 1, 0, 16)), 'EINVAL [3] nr_bits exceeds type_size'],
  ['an int that is bool and signed', build((b) => b.int('x', 1, 5)), 'ENOTSUPP [3] Unsupported encoding'],
  ['a type without a name', build((b, { int }) => b.typedef('', int)), 'EINVAL [3] Invalid name'],
  ['a name that is none', build((b) => b.struct('a-b', 4, [])), 'EINVAL [3] Invalid name'],
  ['an array of nothing', build((b, { int }) => b.array(0, 3, int)), 'EINVAL [3] Invalid elem'],
  ['an array of too much', build((b, { int }) => b.array(int, 0x7fffffff, int)), 'EINVAL [3] Array size overflows U32_MAX'],
  [
    'a member beyond its structure',
    build((b, { int }) => b.struct('s', 4, [{ name: 'a', type: int, bit_offset: 8 }])),
    'EINVAL [3] Member exceeds struct_size',
  ],
  [
    'members out of order',
    build((b, { int }) =>
      b.struct('s', 8, [
        { name: 'a', type: int, bit_offset: 32 },
        { name: 'b', type: int, bit_offset: 0 },
      ]),
    ),
    'EINVAL [3] Invalid member bits_offset',
  ],
  [
    'a member of no type',
    build((b) => b.struct('s', 8, [{ name: 'a', type: 0, bit_offset: 0 }])),
    'EINVAL [3] Invalid type_id',
  ],
  [
    'a member that is a forward declaration',
    build((b) => b.struct('s', 8, [{ name: 'a', type: b.fwd('t'), bit_offset: 0 }])),
    'EINVAL [4] Invalid member',
  ],
  [
    'a structure that contains itself',
    build((b) => b.struct('s', 8, [{ name: 'a', type: b.nextId, bit_offset: 0 }])),
    'EEXIST [3] Loop detected',
  ],
  ['a typedef of itself', build((b) => b.typedef('t', b.nextId)), 'EEXIST [3] Loop detected'],
  [
    'an extern function',
    build((b, { void: none }) => b.func('f', b.funcProto(none, []), 2)),
    'EINVAL [4] Invalid func linkage',
  ],
  [
    'a function with unnamed parameters',
    build((b, { int }) => b.func('f', b.funcProto(0, [{ name: '', type: int }]))),
    'EINVAL [4] Invalid arg#1',
  ],
  [
    'an empty section',
    build((b, { int }) => {
      b.variable('v', int);
      b.datasec('.bss', 0, [{ type: 3, offset: 0, size: 4 }]);
    }),
    'EINVAL [4] size == 0',
  ],
  [
    'a section of overlapping variables',
    build((b, { int }) => {
      const v = b.variable('v', int);
      b.datasec('.bss', 8, [
        { type: v, offset: 0, size: 4 },
        { type: v, offset: 2, size: 4 },
      ]);
    }),
    'EINVAL [4] Invalid offset',
  ],
  [
    'a tag on a member that is not there',
    build((b, { int }) => b.declTag('t', b.struct('s', 4, [{ name: 'a', type: int, bit_offset: 0 }]), 1)),
    'EINVAL [4] Invalid component_idx',
  ],
  [
    'tags behind other modifiers',
    build((b, { int }) => b.modifier('CONST', b.modifier('TYPE_TAG', int, 'user'))),
    "EINVAL Type tags don't precede modifiers",
  ],
  [
    'a deep chain',
    build((b, { int }) => {
      for (let i = 0, at = int; i < 40; i++) at = b.modifier('CONST', b.nextId + 1 < 42 ? b.nextId + 1 : at);
    }),
    'E2BIG [3] Exceeded max resolving depth:32',
  ],
];

/** A BTF with every kind. */
export const everyKind: Uint8Array = build((b, { int, u8 }) => {
  const node = b.struct('node', 8, [{ name: 'next', type: b.ptr(b.nextId + 1), bit_offset: 0 }]);
  b.enum('e', { A: 1 }, { size: 4 });
  b.enum64('e64', { B: 1n << 40n });
  b.float('double', 8);
  b.typedef('t', b.ptr(b.modifier('TYPE_TAG', b.modifier('VOLATILE', b.modifier('RESTRICT', b.ptr(0))), 'user')));
  b.union('u', 4, [
    { name: 'a', type: int, bit_offset: 0 },
    { name: 'b', type: u8, bit_offset: 0 },
  ]);
  const f = b.func(
    'f',
    b.funcProto(int, [
      { name: 'x', type: node },
      { name: '', type: 0 },
    ]),
  );
  b.declTag('tag', f, 0);
  b.datasec('.data', 8, [{ type: b.variable('v', b.array(u8, 8, int)), offset: 0, size: 8 }]);
  b.fwd('later', true);
});
