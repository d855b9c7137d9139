import { setTimeout as sleep } from 'node:timers/promises';

/** How long to wait before trying again. */
export interface BackoffRange {
  readonly minMs: number;
  readonly maxMs: number;
}

/** From half a second to half a minute. */
export const reconnectBackoff: BackoffRange = { minMs: 500, maxMs: 30_000 };

/** Waits that double from `minMs` to `maxMs`, each shortened at random by up to a half so that a cluster's agents do not come at once. */
export class Backoff {
  readonly #range: BackoffRange;
  #failures = 0;

  constructor(range: BackoffRange) {
    this.#range = range;
  }

  /** The next wait in milliseconds. */
  next(random: number = Math.random()): number {
    const { minMs, maxMs } = this.#range;
    // The exponent is bounded: after a week of failures 2 ** n would be Infinity.
    const full = Math.min(maxMs, minMs * 2 ** Math.min(this.#failures + 1, 30));
    this.#failures += 1;
    return Math.max(minMs, full * (1 - random / 2));
  }

  /** The last try went well: start again from the shortest wait. */
  reset(): void {
    this.#failures = 0;
  }

  /** Waits for the next time, or as long as the collector asks for; rejects with the signal's reason when it fires. Returns the milliseconds waited for. */
  async wait(signal: AbortSignal, askedMs = 0): Promise<number> {
    // Nobody is made to wait for ever; a random part more, since others are asked for the same.
    const asked = Math.min(this.#range.maxMs, askedMs * (1 + Math.random() / 2));
    const ms = Math.max(this.next(), asked);
    await sleep(ms, undefined, { signal });
    return ms;
  }
}
