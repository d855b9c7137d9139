import { Fault } from '@kcorder/proto/fault.ts';

/** Makes a function that runs what it is given in the order of the calls, each after the one before has settled. */
export function oneAtATime(): <T>(run: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (run) => {
    const turn = last.then(run);
    last = turn.catch(() => undefined);
    return turn;
  };
}

/** Calls of one caller that are served or wait. */
export const turnsOfOne = 4;

/** Calls of one caller: the one whose turn it is, and who is woken next. */
type Waiting = Set<() => void>;

/**
 * Makes large answers one at a time. The next turn of the same caller comes when the answer before it was taken, so that each caller has one
 * answer in memory at most, and others wait neither for that nor for more than one turn of this caller.
 */
export class Turns {
  readonly #lanes = new Map<string, Waiting>();
  readonly #inTurn = oneAtATime();

  /**
   * Runs this in its turn. `signal` fires when the call has ended, with its answer taken or without; then nothing is kept of it. Throws the signal's
   * reason, and resource_exhausted when this caller has too many calls.
   */
  async run<T>(caller: string, signal: AbortSignal, make: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    await this.#turn(caller, signal);
    if (signal.aborted) this.#pass(caller);
    else signal.addEventListener('abort', () => this.#pass(caller), { once: true });
    return await this.#inTurn(async () => {
      signal.throwIfAborted();
      return await make();
    });
  }

  async #turn(caller: string, signal: AbortSignal): Promise<void> {
    const waiting = this.#lanes.get(caller);
    if (waiting === undefined) {
      this.#lanes.set(caller, new Set());
      return;
    }
    const calls = waiting.size + 1;
    if (calls >= turnsOfOne)
      throw new Fault(
        'resource_exhausted',
        `${caller} has ${calls} such calls open: wait until one of them has ended`,
        {
          retryAfterMs: 1_000,
        },
      );
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const giveUp = (): void => {
      waiting.delete(resolve);
      reject(signal.reason);
    };
    waiting.add(resolve);
    signal.addEventListener('abort', giveUp, { once: true });
    await promise.finally(() => signal.removeEventListener('abort', giveUp));
  }

  /** The call whose turn it was has ended. */
  #pass(caller: string): void {
    const waiting = this.#lanes.get(caller);
    const [next] = waiting ?? [];
    if (next === undefined) this.#lanes.delete(caller);
    else {
      waiting?.delete(next);
      next();
    }
  }
}
