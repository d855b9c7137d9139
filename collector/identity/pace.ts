/** A bucket of tokens: `burst` at once, then one every `everyMs`. Time is monotonic, in milliseconds. */
export class Pace {
  readonly #burst: number;
  readonly #everyMs: number;
  #left: number;
  #atMs: number;

  constructor(burst: number, everyMs: number, nowMs: number) {
    this.#burst = burst;
    this.#everyMs = everyMs;
    this.#left = burst;
    this.#atMs = nowMs;
  }

  /** Takes a token; otherwise milliseconds until there is one. */
  take(nowMs: number): number | undefined {
    this.#fill(nowMs);
    if (this.#left < 1) return Math.ceil((1 - this.#left) * this.#everyMs);
    this.#left -= 1;
    return undefined;
  }

  /** Nothing was taken for so long that it may be forgotten. */
  isFull(nowMs: number): boolean {
    this.#fill(nowMs);
    return this.#left >= this.#burst;
  }

  #fill(nowMs: number): void {
    this.#left = Math.min(this.#burst, this.#left + (nowMs - this.#atMs) / this.#everyMs);
    this.#atMs = nowMs;
  }
}

/** One pace for each of many names, forgotten when it is full again. */
export class Paces {
  readonly #burst: number;
  readonly #everyMs: number;
  readonly #paces = new Map<string, Pace>();
  #sweptMs = 0;

  constructor(burst: number, everyMs: number) {
    this.#burst = burst;
    this.#everyMs = everyMs;
  }

  /** Milliseconds that this name has to wait; undefined when it need not. */
  take(name: string, nowMs: number = performance.now()): number | undefined {
    if (nowMs - this.#sweptMs > this.#everyMs) {
      this.#sweptMs = nowMs;
      for (const [key, pace] of this.#paces) if (pace.isFull(nowMs)) this.#paces.delete(key);
    }
    const pace = this.#paces.get(name) ?? new Pace(this.#burst, this.#everyMs, nowMs);
    this.#paces.set(name, pace);
    return pace.take(nowMs);
  }
}
