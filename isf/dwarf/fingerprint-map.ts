/** Pairs of 32-bit numbers by offset in a unit: open addressing in typed arrays, emptied for each unit. */
export class FingerprintMap {
  #keys = new Uint32Array(1 << 8);
  #highs = new Uint32Array(1 << 8);
  #lows = new Uint32Array(1 << 8);
  #size = 0;
  /** What `find` found. */
  high = 0;
  low = 0;

  clear(): void {
    if (this.#size > 0) this.#keys.fill(0);
    this.#size = 0;
  }

  /** Whether there is a pair for the offset; it is in `high` and `low` then. */
  find(key: number): boolean {
    const at = this.#place(key);
    if (this.#keys[at] !== key) return false;
    this.high = this.#highs[at] as number;
    this.low = this.#lows[at] as number;
    return true;
  }

  /** `key` is above 0. */
  set(key: number, high: number, low: number): void {
    const at = this.#place(key);
    if (this.#keys[at] === 0) this.#size += 1;
    this.#keys[at] = key;
    this.#highs[at] = high;
    this.#lows[at] = low;
    if (this.#size * 2 > this.#keys.length) this.#grow();
  }

  #place(key: number): number {
    const mask = this.#keys.length - 1;
    let at = (Math.imul(key, 0x9e3779b1) >>> 12) & mask;
    while (this.#keys[at] !== 0 && this.#keys[at] !== key) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const [keys, highs, lows] = [this.#keys, this.#highs, this.#lows];
    this.#keys = new Uint32Array(keys.length * 2);
    this.#highs = new Uint32Array(keys.length * 2);
    this.#lows = new Uint32Array(keys.length * 2);
    this.#size = 0;
    for (const [at, key] of keys.entries()) {
      if (key !== 0) this.set(key, highs[at] as number, lows[at] as number);
    }
  }
}
