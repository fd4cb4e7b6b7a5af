/** A small ELF64 object as bytes, for tests. */

export interface SectionInput {
  readonly name: string;
  readonly type: number;
  readonly flags?: number;
  readonly data?: Uint8Array;
  readonly size?: number;
  readonly link?: number;
  readonly info?: number;
}

const encoder = new TextEncoder();

/** Lays out sections (a null section and `.shstrtab` are added around them) behind a header. */
export function buildElf(
  sections: readonly SectionInput[],
  options: { readonly little?: boolean; readonly machine?: number; readonly type?: number } = {},
): Uint8Array {
  const little = options.little ?? true;
  const all: SectionInput[] = [{ name: '', type: 0 }, ...sections, { name: '.shstrtab', type: 3 }];
  const names = all.map(({ name }) => name);
  const table = encoder.encode(names.map((name) => `${name}\0`).join(''));
  const nameOffsets = names.map(
    (_, i) =>
      encoder.encode(
        names
          .slice(0, i)
          .map((name) => `${name}\0`)
          .join(''),
      ).length,
  );
  const bodies = all.map((section, i) => (i === all.length - 1 ? table : (section.data ?? new Uint8Array(0))));
  const starts: number[] = [];
  let end = 64;
  for (const body of bodies) {
    starts.push(end);
    end = (end + body.length + 7) & ~7;
  }
  const bytes = new Uint8Array(end + all.length * 64);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, little ? 1 : 2, 1]);
  view.setUint16(16, options.type ?? 1, little);
  view.setUint16(18, options.machine ?? 247, little);
  view.setBigUint64(40, BigInt(end), little);
  view.setUint16(58, 64, little);
  view.setUint16(60, all.length, little);
  view.setUint16(62, all.length - 1, little);
  all.forEach((section, i) => {
    const at = end + i * 64;
    bytes.set(bodies[i]!, starts[i]!);
    view.setUint32(at, nameOffsets[i]!, little);
    view.setUint32(at + 4, section.type, little);
    view.setBigUint64(at + 8, BigInt(section.flags ?? 0), little);
    view.setBigUint64(at + 24, BigInt(i === 0 ? 0 : starts[i]!), little);
    view.setBigUint64(at + 32, BigInt(section.size ?? bodies[i]!.length), little);
    view.setUint32(at + 40, section.link ?? 0, little);
    view.setUint32(at + 44, section.info ?? 0, little);
  });
  return bytes;
}

export interface SymbolInput {
  readonly name: number;
  readonly value?: number;
  readonly size?: number;
  readonly info?: number;
  readonly section?: number;
}

export function symbolTable(symbols: readonly SymbolInput[]): Uint8Array {
  const bytes = new Uint8Array(symbols.length * 24);
  const view = new DataView(bytes.buffer);
  symbols.forEach((symbol, i) => {
    view.setUint32(i * 24, symbol.name, true);
    view.setUint8(i * 24 + 4, symbol.info ?? 0);
    view.setUint16(i * 24 + 6, symbol.section ?? 0, true);
    view.setBigUint64(i * 24 + 8, BigInt(symbol.value ?? 0), true);
    view.setBigUint64(i * 24 + 16, BigInt(symbol.size ?? 0), true);
  });
  return bytes;
}
