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

interface Lane {
  last: Promise<unknown>;
  calls: number;
}

/**
 * Makes large answers one at a time. The next turn of the same caller comes when the answer before it was taken, so that each caller has one
 * answer in memory at most, and others wait neither for that nor for more than one turn of this caller.
 */
export class Turns {
  readonly #lanes = new Map<string, Lane>();
  readonly #inTurn = oneAtATime();

  /** Runs this in its turn. `signal` fires when the call has ended, with its answer taken or without. Throws resource_exhausted when this caller has too many calls. */
  async run<T>(caller: string, signal: AbortSignal, make: () => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(caller) ?? { last: Promise.resolve(), calls: 0 };
    if (lane.calls >= turnsOfOne)
      throw new Fault(
        'resource_exhausted',
        `${caller} has ${lane.calls} such calls open: wait until one of them has ended`,
        {
          retryAfterMs: 1_000,
        },
      );
    this.#lanes.set(caller, lane);
    lane.calls += 1;
    const ended = aborted(signal).then(() => {
      lane.calls -= 1;
      if (lane.calls === 0) this.#lanes.delete(caller);
    });
    const before = lane.last;
    lane.last = Promise.all([before, ended]);
    await before;
    return await this.#inTurn(async () => {
      signal.throwIfAborted();
      return await make();
    });
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
