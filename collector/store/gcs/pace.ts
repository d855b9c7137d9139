import { setTimeout as sleep } from 'node:timers/promises';

/** How failed requests are made again. */
export interface Pace {
  /** Without any progress in between. */
  readonly attempts: number;
  /** The longest that the first pause can be; each further one can be twice as long. */
  readonly firstMs: number;
  readonly longestMs: number;
  /** After which a request without an answer has failed. */
  readonly answerMs: number;
}

/** Gives a store about two minutes to come back; who wants the object asks again after that. */
export const usualPace: Pace = { attempts: 9, firstMs: 1000, longestMs: 32_000, answerMs: 120_000 };

/** Counts attempts and waits between them, by chance, so that several who lost the same store do not come back together. */
export class Attempts {
  readonly #pace: Pace;
  #failed = 0;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** Something went well: the count begins anew. */
  renew(): void {
    this.#failed = 0;
  }

  /** Waits before the next attempt. False, at once, when there is none left. Throws the signal's reason. */
  async wait(signal: AbortSignal | undefined): Promise<boolean> {
    this.#failed += 1;
    if (this.#failed >= this.#pace.attempts) return false;
    const longestMs = Math.min(this.#pace.longestMs, this.#pace.firstMs * 2 ** (this.#failed - 1));
    await sleep(longestMs * (0.5 + Math.random() / 2), undefined, signal && { signal }).catch((error: unknown) => {
      throw signal?.aborted ? signal.reason : error;
    });
    return true;
  }
}
