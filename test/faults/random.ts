/** Numbers that follow from a seed, so that a run can be repeated. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  /** As many of them, in ascending order. */
  ascending(count: number, below: number): number[] {
    return Array.from({ length: count }, () => this.below(below)).sort((a, b) => a - b);
  }
}

/** The seed of this run: KCORDER_SEED, or another one each time. Printed, so that a failure can be repeated. */
export function seedOf(what: string): number {
  const seed = Number(process.env.KCORDER_SEED ?? Math.floor(Math.random() * 2 ** 31));
  process.stdout.write(`${what}: KCORDER_SEED=${seed}\n`);
  return seed;
}
