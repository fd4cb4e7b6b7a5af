/** The objects of `objects/`, built by `objects/build.sh`. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const objectBytes = (name: string): Uint8Array =>
  readFileSync(fileURLToPath(new URL(`./objects/${name}.bpf.o`, import.meta.url)));

/** The same object with its code relocations as RELA: addends beside the entries, and junk where REL would read them. */
export function asRela(bytes: Uint8Array): Uint8Array {
  const source = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shoff = Number(source.getBigUint64(40, true));
  const count = source.getUint16(60, true);
  const names = Number(source.getBigUint64(shoff + source.getUint16(62, true) * 64 + 24, true));
  const added: { readonly header: number; readonly data: Uint8Array }[] = [];
  const patched = new Uint8Array(bytes);
  const target = new DataView(patched.buffer);
  for (let i = 0; i < count; i++) {
    const at = shoff + i * 64;
    const name = cString(bytes, names + source.getUint32(at, true));
    if (
      source.getUint32(at + 4, true) !== 9 ||
      name.startsWith('.rel.debug') ||
      name.startsWith('.rel.BTF') ||
      name === '.rel.maps'
    )
      continue;
    const [offset, size] = [24, 32].map((field) => Number(source.getBigUint64(at + field, true))) as [number, number];
    const code = Number(source.getBigUint64(shoff + source.getUint32(at + 44, true) * 64 + 24, true));
    const data = new Uint8Array((size / 16) * 24);
    const view = new DataView(data.buffer);
    for (let entry = 0; entry < size / 16; entry++) {
      data.set(bytes.subarray(offset + entry * 16, offset + entry * 16 + 16), entry * 24);
      const insn = code + Number(source.getBigUint64(offset + entry * 16, true));
      const isCall = bytes[insn] === 0x85;
      const imm = source.getInt32(insn + 4, true);
      view.setBigInt64(entry * 24 + 16, BigInt(isCall ? (imm + 1) * 8 : imm), true);
      target.setInt32(insn + 4, 0x5a5a5a5a, true);
    }
    added.push({ header: at, data });
  }
  return append(patched, target, added);
}

function append(
  patched: Uint8Array,
  target: DataView,
  added: readonly { readonly header: number; readonly data: Uint8Array }[],
): Uint8Array {
  const result = new Uint8Array(patched.length + added.reduce((sum, { data }) => sum + data.length, 0));
  let end = patched.length;
  for (const { header, data } of added) {
    target.setUint32(header + 4, 4, true);
    target.setBigUint64(header + 24, BigInt(end), true);
    target.setBigUint64(header + 32, BigInt(data.length), true);
    target.setBigUint64(header + 56, 24n, true);
    result.set(data, end);
    end += data.length;
  }
  result.set(patched);
  return result;
}

function cString(bytes: Uint8Array, at: number): string {
  return new TextDecoder().decode(bytes.subarray(at, bytes.indexOf(0, at)));
}
