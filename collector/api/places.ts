import { Fault } from '@kcorder/proto/fault.ts';

/** For which calls there are places, and how many. */
export interface PlacesOf {
  /** What did not happen for want of a place: "the image was not verified". */
  readonly refused: string;
  /** What others are doing: "verifying an image". */
  readonly doing: string;
  readonly most: number;
}

const retryAfterMs = 5_000;

/** Calls that cost much: each caller has one place, and there are so many in all. */
export class Places {
  readonly #of: PlacesOf;
  readonly #callers = new Set<string>();

  constructor(of: PlacesOf) {
    this.#of = of;
  }

  /** Takes a place, until it is disposed of. Throws resource_exhausted. */
  take(caller: string): Disposable {
    const { refused, doing, most } = this.#of;
    const isTheirs = this.#callers.has(caller);
    if (isTheirs || this.#callers.size >= most) {
      const why = isTheirs ? `${caller} is ${doing} already` : `${most} others are ${doing}, the most at a time`;
      throw new Fault('resource_exhausted', `${refused}: ${why}. Retry when that has ended`, { retryAfterMs });
    }
    this.#callers.add(caller);
    return { [Symbol.dispose]: () => void this.#callers.delete(caller) };
  }
}
