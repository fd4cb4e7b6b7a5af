/** BTF of our own: 1 int, 2 struct value { int a; int b }. */
export function smallBtf(): Uint8Array {
  const strings = '\0int\0value\0a\0b\0';
  const words = [1, 1 << 24, 4, 32 | (1 << 24), 5, (4 << 24) | 2, 8, 11, 1, 0, 13, 1, 32];
  const bytes = new Uint8Array(24 + words.length * 4 + strings.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xeb9f, true);
  bytes[2] = 1;
  [24, 0, words.length * 4, words.length * 4, strings.length].forEach((word, index) =>
    view.setUint32(4 + index * 4, word, true),
  );
  words.forEach((word, index) => view.setUint32(24 + index * 4, word, true));
  bytes.set(new TextEncoder().encode(strings), 24 + words.length * 4);
  return bytes;
}
