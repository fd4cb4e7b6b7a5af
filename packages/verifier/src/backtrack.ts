/** The search of a walk back along a path (`struct backtrack_state`). */

/** What is still searched for, by frame: registers and stack slots. */
export class Backtrack {
  frame = 0;
  readonly regs: number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  readonly low: number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  readonly high: number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0];

  reset(frame: number): void {
    this.frame = frame;
    for (let f = 0; f < this.regs.length; f++) {
      this.regs[f] = 0;
      this.low[f] = 0;
      this.high[f] = 0;
    }
  }

  get empty(): boolean {
    for (let f = 0; f <= this.frame; f++) if (this.regs[f]! | this.low[f]! | this.high[f]!) return false;
    return true;
  }
  has(reg: number): boolean {
    return (this.regs[this.frame]! & (1 << reg)) !== 0;
  }
  set(reg: number): void {
    this.regs[this.frame]! |= 1 << reg;
  }
  clear(reg: number): void {
    this.regs[this.frame]! &= ~(1 << reg);
  }
  hasSlot(frame: number, spi: number): boolean {
    return spi < 32 ? (this.low[frame]! & (1 << spi)) !== 0 : (this.high[frame]! & (1 << (spi - 32))) !== 0;
  }
  setSlot(frame: number, spi: number): void {
    if (spi < 32) this.low[frame]! |= 1 << spi;
    else this.high[frame]! |= 1 << (spi - 32);
  }
  clearSlot(frame: number, spi: number): void {
    if (spi < 32) this.low[frame]! &= ~(1 << spi);
    else this.high[frame]! &= ~(1 << (spi - 32));
  }
  slotsOf(frame: number): number[] {
    const result: number[] = [];
    for (let spi = 0; spi < 64; spi++) if (this.hasSlot(frame, spi)) result.push(spi);
    return result;
  }
  regText(frame: number = this.frame): string {
    const names: string[] = [];
    for (let i = 0; i < 16; i++) if (this.regs[frame]! & (1 << i)) names.push(`r${i}`);
    return names.join(',');
  }
  slotText(): string {
    return this.slotsOf(this.frame)
      .map((spi) => `-${(spi + 1) * 8}`)
      .join(',');
  }
}
