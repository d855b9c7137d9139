import { Fault } from '@kcorder/proto/fault.ts';
import { Pace, Paces } from '../identity/pace.ts';

/** Reviews of tokens that were not good before: how many run, and how many more may fail. */
interface Share {
  running: number;
  readonly failures: Pace;
}

/**
 * How a review ended: nobody vouches for the token; nobody does, and an error led to that; or nobody has to pay, since somebody does, or the API
 * server did not answer.
 */
export type ReviewEnding = 'refused' | 'unclear' | 'unpaid';

/** Reviews of one share that may run at once. */
const mostRunning = 8;
const cleanMs = 30 * 60_000;

/**
 * Bounds the reviews of strangers' tokens. When failures have used up what all addresses share, a reserve is left to
 * those without a failure in the last half hour, one review each. To use that up as well takes a hundred such addresses,
 * and to keep it used up 900 in each half hour. An answer with an error may be an outage: it counts in a pace of its own, and is no
 * failure of its address. The shares pay for it all the same, the reserve's one review of an address too: a caller can bring such answers about.
 */
export class Strangers {
  readonly #common: Share = { running: 0, failures: new Pace(10, 1_000, performance.now()) };
  readonly #reserve: Share = { running: 0, failures: new Pace(100, 2_000, performance.now()) };
  readonly #failuresOfHost = new Paces(5, 5_000);
  readonly #unclearOfHost = new Paces(10, 5_000);
  /** Fewer addresses than it has room for can fail in half an hour, by the two paces above. */
  readonly #lately = new Paces(1, cleanMs);

  /**
   * Counts a review that begins. Returns the function to call at its end. Throws resource_exhausted when so many were not good that the next one
   * has to wait.
   */
  enter(host: string): (ending: ReviewEnding) => void {
    const share = this.#shareOf(host);
    if (share === undefined)
      throw new Fault('resource_exhausted', 'too many tokens that nobody vouches for: come again in a moment', {
        retryAfterMs: this.#waitOf(host) ?? this.#common.failures.wait(performance.now()) ?? 1_000,
      });
    share.running += 1;
    return (ending) => {
      share.running -= 1;
      if (ending === 'unclear') this.#unclearOfHost.take(host);
      if (ending === 'refused') {
        this.#failuresOfHost.take(host);
        this.#lately.take(host);
      }
      if (ending !== 'unpaid') return;
      share.failures.give();
      if (share === this.#reserve) this.#lately.give(host);
    };
  }

  #waitOf(host: string): number | undefined {
    return this.#failuresOfHost.wait(host) ?? this.#unclearOfHost.wait(host);
  }

  /** The share that has room for one more of this address, which is charged beforehand: all that run may fail. */
  #shareOf(host: string): Share | undefined {
    if (this.#waitOf(host) !== undefined) return undefined;
    if (hasTaken(this.#common)) return this.#common;
    if (this.#lately.take(host) !== undefined) return undefined;
    if (hasTaken(this.#reserve)) return this.#reserve;
    this.#lately.give(host);
    return undefined;
  }
}

const hasTaken = ({ running, failures }: Share): boolean =>
  running < mostRunning && failures.take(performance.now()) === undefined;
