import { BadInput } from '../bad-input.ts';

const maxKeys = 1 << 20;

/** A map from a pair of 32-bit numbers to the largest offset given for it: open addressing in typed arrays. */
export class LastSeen {
  #mask: number;
  #high: Uint32Array;
  #low: Uint32Array;
  #offset: Uint32Array;
  #size = 0;

  constructor(capacity = 1 << 6) {
    this.#mask = capacity - 1;
    this.#high = new Uint32Array(capacity);
    this.#low = new Uint32Array(capacity);
    this.#offset = new Uint32Array(capacity);
  }

  get size(): number {
    return this.#size;
  }

  /** `offset` is above 0, for 0 marks a free place. */
  raise(high: number, low: number, offset: number): void {
    const at = this.#find(high, low);
    const known = this.#offset[at] as number;
    if (known >= offset) return;
    this.#offset[at] = offset;
    if (known !== 0) return;
    this.#high[at] = high;
    this.#low[at] = low;
    this.#size += 1;
    if (this.#size * 2 > this.#mask) this.#grow();
  }

  /** The offset, or 0. */
  get(high: number, low: number): number {
    return this.#offset[this.#find(high, low)] as number;
  }

  *entries(): Generator<{ readonly high: number; readonly low: number; readonly offset: number }> {
    for (let at = 0; at <= this.#mask; at++) {
      const offset = this.#offset[at] as number;
      if (offset !== 0) yield { high: this.#high[at] as number, low: this.#low[at] as number, offset };
    }
  }

  #find(high: number, low: number): number {
    const mask = this.#mask;
    let at = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
    at = (at ^ (at >>> 15)) & mask;
    while ((this.#low[at] !== low || this.#high[at] !== high) && this.#offset[at] !== 0) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const capacity = (this.#mask + 1) * 2;
    if (capacity > maxKeys * 2) throw new BadInput('.debug_info', `more than ${maxKeys} different names`);
    const larger = new LastSeen(capacity);
    for (const { high, low, offset } of this.entries()) larger.raise(high, low, offset);
    this.#mask = larger.#mask;
    this.#high = larger.#high;
    this.#low = larger.#low;
    this.#offset = larger.#offset;
  }
}
