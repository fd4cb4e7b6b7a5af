/** The one memory of a kernel: every byte that a program can see is in it. */

import { KernelError } from '@libbpf-ts/uapi';

export interface ArenaOptions {
  /** Size at the start, 1 MiB by default; it grows by itself. */
  readonly initialBytes?: number;
  /** Most that it may grow to, below 2 GiB so that no address is a negative int32. */
  readonly maximumBytes?: number;
}

const PAGE = 65_536;
/** Addresses below are never handed out and stay zero: a NULL pointer plus a small offset reads zero, as no trap happens there. */
const RESERVED = PAGE;
const LARGEST = 0x7fff_0000;
/** A block starts with its base address and its tag; what the caller gets comes right after. */
const HEADER = 8;
const TAG_USED = 0x5ab0_0000;
const TAG_FREE = 0xf4ee_0000 | 0;
const TAG_LARGE = 0xff;
/** Block sizes with header: four to a doubling, up to 32 KiB. Larger ones are whole multiples of 4 KiB. */
const CLASSES: readonly number[] = blockClasses(32_768);
const LARGE_STEP = 4096;
/** Class of a block size by its 16-byte units. */
const CLASS_OF: Uint8Array = classTable();

interface Range {
  base: number;
  size: number;
}

/**
 * A segregated-fit allocator over one WebAssembly.Memory. Freed small blocks are chained in the memory itself, one list a class,
 * so a fork is a copy of the used bytes and a few tables.
 * The typed views are always current; do not keep one over a call that may allocate, since growing detaches it.
 */
export class Arena {
  readonly memory: WebAssembly.Memory;
  readonly #maximum: number;
  #u8!: Uint8Array;
  #u16!: Uint16Array;
  #u32!: Uint32Array;
  #i32!: Int32Array;
  #u64!: BigUint64Array;
  #view!: DataView;
  /** First byte that no block has ever had. */
  #top = RESERVED + HEADER;
  #used = 0;
  readonly #heads: Uint32Array = new Uint32Array(CLASSES.length);
  /** Sizes of large blocks in use, by base. */
  readonly #large: Map<number, number> = new Map();
  /** Free large ranges, ordered by address, never adjacent. */
  readonly #freeLarge: Range[] = [];

  constructor(options: ArenaOptions = {}) {
    this.#maximum = Math.min(options.maximumBytes ?? LARGEST, LARGEST);
    const initial = Math.min(Math.max(options.initialBytes ?? 16 * PAGE, 2 * PAGE), this.#maximum);
    this.memory = new WebAssembly.Memory({ initial: Math.ceil(initial / PAGE), maximum: Math.floor(this.#maximum / PAGE) });
    this.#refresh();
  }

  get u8(): Uint8Array {
    return this.#u8;
  }
  get u16(): Uint16Array {
    return this.#u16;
  }
  get u32(): Uint32Array {
    return this.#u32;
  }
  get i32(): Int32Array {
    return this.#i32;
  }
  get u64(): BigUint64Array {
    return this.#u64;
  }
  get view(): DataView {
    return this.#view;
  }

  /** Bytes handed out and not yet freed, rounded up to the blocks that hold them. */
  get used(): number {
    return this.#used;
  }

  /** Address of `size` zeroed bytes, aligned to `align` (a power of two, 8 by default). Throws ENOMEM. */
  allocate(size: number, align = 8): number {
    const address = this.tryAllocate(size, align);
    if (address === 0) throw new KernelError('ENOMEM', `the arena has no ${size} bytes left`);
    return address;
  }

  /** As `allocate`, but 0 where there is no room. */
  tryAllocate(size: number, align = 8): number {
    if (!(size >= 0 && size < LARGEST)) return 0;
    const slack = align > 8 ? align : 0;
    const need = Math.max(16, (size + HEADER + slack + 15) & ~15);
    const base = need <= 32_768 ? this.#takeSmall(CLASS_OF[need >> 4]!) : this.#takeLarge(need);
    if (base === 0) return 0;
    const address = slack === 0 ? base + HEADER : (base + HEADER + align - 1) & -align;
    const tag = need <= 32_768 ? CLASS_OF[need >> 4]! : TAG_LARGE;
    this.#u32[(address - HEADER) >> 2] = base;
    this.#u32[(address - 4) >> 2] = TAG_USED | tag;
    this.#used += this.#blockSize(base, tag);
    return address;
  }

  /** Gives back what `allocate` returned. Throws on any other address, and on a second time. */
  free(address: number): void {
    const tag = address > RESERVED && address < this.#top ? this.#u32[(address - 4) >> 2]! : 0;
    if ((address & 7) !== 0 || (tag & 0xffff_ff00) >>> 0 !== TAG_USED)
      throw new Error(`bad free of address 0x${address.toString(16)}`);
    const base = this.#u32[(address - HEADER) >> 2]!;
    const cls = tag & 0xff;
    this.#used -= this.#blockSize(base, cls);
    this.#u32[(address - 4) >> 2] = TAG_FREE;
    if (cls === TAG_LARGE) {
      const size = this.#large.get(base)!;
      this.#large.delete(base);
      this.#freeRange(base, size);
      return;
    }
    this.#u32[base >> 2] = this.#heads[cls]!;
    this.#heads[cls] = base;
  }

  /** A copy of the used part and of the allocator's tables; the two never see each other's changes. */
  fork(): Arena {
    const copy = new Arena({ initialBytes: this.#top, maximumBytes: this.#maximum });
    copy.#u8.set(this.#u8.subarray(RESERVED, this.#top), RESERVED);
    copy.#top = this.#top;
    copy.#used = this.#used;
    copy.#heads.set(this.#heads);
    for (const [base, size] of this.#large) copy.#large.set(base, size);
    for (const { base, size } of this.#freeLarge) copy.#freeLarge.push({ base, size });
    return copy;
  }

  #blockSize(base: number, tag: number): number {
    return tag === TAG_LARGE ? this.#large.get(base)! : CLASSES[tag]!;
  }

  /** Base of a zeroed block of the class, from its list or from the top. */
  #takeSmall(cls: number): number {
    const size = CLASSES[cls]!;
    const head = this.#heads[cls]!;
    if (head === 0) return this.#bump(size);
    this.#heads[cls] = this.#u32[head >> 2]!;
    this.#u8.fill(0, head, head + size);
    return head;
  }

  #takeLarge(need: number): number {
    const size = (need + LARGE_STEP - 1) & -LARGE_STEP;
    const index = this.#freeLarge.findIndex((range) => range.size >= size);
    if (index < 0) {
      const base = this.#bump(size);
      if (base !== 0) this.#large.set(base, size);
      return base;
    }
    const range = this.#freeLarge[index]!;
    const base = range.base;
    if (range.size === size) this.#freeLarge.splice(index, 1);
    else {
      range.base += size;
      range.size -= size;
    }
    this.#u8.fill(0, base, base + size);
    this.#large.set(base, size);
    return base;
  }

  #bump(size: number): number {
    const base = this.#top;
    // A few bytes stay free at the end, since lookups may read a word where a key has fewer bytes left.
    const need = base + size + 16;
    if (need > this.memory.buffer.byteLength && !this.#grow(need)) return 0;
    this.#top = base + size;
    return base;
  }

  /** Grows by a quarter at least, so that many small allocations do not each grow. */
  #grow(bytes: number): boolean {
    const now = this.memory.buffer.byteLength;
    if (bytes > this.#maximum) return false;
    const wanted = Math.min(Math.max(bytes, now + (now >> 2)), this.#maximum);
    for (const goal of [wanted, bytes]) {
      try {
        this.memory.grow(Math.ceil((goal - now) / PAGE));
        this.#refresh();
        return true;
      } catch {
        // The host refused; the smaller goal may still fit.
      }
    }
    return false;
  }

  #freeRange(base: number, size: number): void {
    const list = this.#freeLarge;
    let index = list.findIndex((range) => range.base > base);
    if (index < 0) index = list.length;
    const before = list[index - 1];
    const after = list[index];
    const joinsBefore = before !== undefined && before.base + before.size === base;
    const joinsAfter = after !== undefined && base + size === after.base;
    if (joinsBefore) {
      before.size += size + (joinsAfter ? after.size : 0);
      if (joinsAfter) list.splice(index, 1);
    } else if (joinsAfter) {
      after.base = base;
      after.size += size;
    } else list.splice(index, 0, { base, size });
  }

  #refresh(): void {
    const { buffer } = this.memory;
    this.#u8 = new Uint8Array(buffer);
    this.#u16 = new Uint16Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#i32 = new Int32Array(buffer);
    this.#u64 = new BigUint64Array(buffer);
    this.#view = new DataView(buffer);
  }
}

function blockClasses(last: number): number[] {
  const classes: number[] = [];
  for (let size = 16, step = 16; size <= last; size += step) {
    classes.push(size);
    if (size >= 128 && (size & (size - 1)) === 0) step = size >> 2;
  }
  return classes;
}

function classTable(): Uint8Array {
  const table = new Uint8Array(32_768 / 16 + 1);
  let cls = 0;
  for (let unit = 0; unit < table.length; unit++) {
    while (CLASSES[cls]! < unit * 16) cls++;
    table[unit] = cls;
  }
  return table;
}
