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

  /** Takes so many tokens when there is one, what is missing from those to come; otherwise milliseconds until there is one. */
  take(nowMs: number, tokens = 1): number | undefined {
    const waitMs = this.wait(nowMs);
    if (waitMs === undefined) this.#left -= tokens;
    return waitMs;
  }

  /** Milliseconds until there is a token; undefined when there is one. Takes none. */
  wait(nowMs: number): number | undefined {
    this.#fill(nowMs);
    return this.#left < 1 ? Math.ceil((1 - this.#left) * this.#everyMs) : undefined;
  }

  /** Gives one back that was taken for nothing. */
  give(): void {
    this.#left = Math.min(this.#burst, this.#left + 1);
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

/** How many names have a pace of their own at once: those that come later share one. */
const mostNames = 10_000;

/** One pace for each of many names, forgotten when it is full again. */
export class Paces {
  readonly #burst: number;
  readonly #everyMs: number;
  readonly #paces = new Map<string, Pace>();
  readonly #rest: Pace;
  #sweptMs = 0;

  constructor(burst: number, everyMs: number) {
    this.#burst = burst;
    this.#everyMs = everyMs;
    this.#rest = new Pace(burst, everyMs, performance.now());
  }

  /** Milliseconds that this name has to wait; undefined when it need not, and has so many tokens less. */
  take(name: string, nowMs: number = performance.now(), tokens = 1): number | undefined {
    return this.#of(name, nowMs).take(nowMs, tokens);
  }

  /** The same, taking none. */
  wait(name: string, nowMs: number = performance.now()): number | undefined {
    return (this.#paces.get(name) ?? (this.#paces.size < mostNames ? undefined : this.#rest))?.wait(nowMs);
  }

  /** Gives one back that was taken for nothing. */
  give(name: string): void {
    (this.#paces.get(name) ?? this.#rest).give();
  }

  #of(name: string, nowMs: number): Pace {
    if (nowMs - this.#sweptMs > this.#everyMs) {
      this.#sweptMs = nowMs;
      for (const [key, pace] of this.#paces) if (pace.isFull(nowMs)) this.#paces.delete(key);
    }
    const known = this.#paces.get(name);
    if (known !== undefined) return known;
    if (this.#paces.size >= mostNames) return this.#rest;
    const pace = new Pace(this.#burst, this.#everyMs, nowMs);
    this.#paces.set(name, pace);
    return pace;
  }
}
