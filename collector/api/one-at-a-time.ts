import { Fault } from '@kcorder/proto/fault.ts';
import { oneAtATime } from '../background/one-at-a-time.ts';

/** Calls of one caller that are served or wait. */
export const turnsOfOne = 4;

/** Calls of one caller: the one whose turn it is, and who is woken next. */
type Waiting = Set<() => void>;

/** Makes answers of each caller one at a time: the next when the one before it was taken, so that each has one answer in memory at most. */
export class Lanes {
  readonly #lanes = new Map<string, Waiting>();

  /**
   * Runs this in its turn. `signal` fires when the call has ended, with its answer taken or without; then nothing is kept of it. Throws the signal's
   * reason, and resource_exhausted when this caller has too many calls.
   */
  async run<T>(caller: string, signal: AbortSignal, make: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    await this.#turn(caller, signal);
    if (signal.aborted) this.#pass(caller);
    else signal.addEventListener('abort', () => this.#pass(caller), { once: true });
    signal.throwIfAborted();
    return await make();
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

/** Makes large answers one at a time. Nobody waits until another takes an answer, nor for more than one turn of each other caller. */
export class Turns {
  readonly #lanes = new Lanes();
  readonly #inTurn = oneAtATime();

  /** Runs this in its turn, as `Lanes` does. */
  async run<T>(caller: string, signal: AbortSignal, make: () => Promise<T>): Promise<T> {
    return await this.#lanes.run(caller, signal, () => inTurnUnless(signal, this.#inTurn, make));
  }
}

type InTurn = ReturnType<typeof oneAtATime>;

/** Runs this in its turn. Throws the signal's reason if that has fired by then. */
export function inTurnUnless<T>(signal: AbortSignal, inTurn: InTurn, make: () => Promise<T>): Promise<T> {
  return inTurn(async () => {
    signal.throwIfAborted();
    return await make();
  });
}
