interface Flight<T> {
  readonly result: Promise<T>;
  readonly abort: AbortController;
  waiting: number;
}

/** Work that is done once for all who ask for the same key at the same time, and at most `atOnce` pieces of work at a time over all keys. */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>();
  readonly #atOnce: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** The result of the work for this key. It is aborted when all who wait for it have given up; one who gives up gets its signal's reason. */
  async run(key: string, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    const flight = this.#flights.get(key) ?? this.#start(key, work);
    flight.waiting += 1;
    const givenUp = Promise.withResolvers<never>();
    const onAbort = () => givenUp.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([flight.result, givenUp.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      flight.waiting -= 1;
      if (flight.waiting === 0) this.#end(key, flight, signal.reason);
    }
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const abort = new AbortController();
    const result = this.#turn(abort.signal).then(async () => {
      try {
        abort.signal.throwIfAborted();
        return await work(abort.signal);
      } finally {
        this.#pass();
      }
    });
    const flight = { result, abort, waiting: 0 };
    this.#flights.set(key, flight);
    const forget = () => this.#end(key, flight, undefined);
    result.then(forget, forget);
    return flight;
  }

  /** Waits for a place. Throws the signal's reason; who has given up keeps nothing here. */
  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#running < this.#atOnce) {
      this.#running += 1;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const giveUp = (): void => {
      this.#waiting.delete(resolve);
      reject(signal.reason);
    };
    this.#waiting.add(resolve);
    signal.addEventListener('abort', giveUp, { once: true });
    await promise.finally(() => signal.removeEventListener('abort', giveUp));
  }

  /** Hands the place on to the next who waits, or gives it back. */
  #pass(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#running -= 1;
    else {
      this.#waiting.delete(next);
      next();
    }
  }

  #end(key: string, flight: Flight<T>, reason: unknown): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
    flight.abort.abort(reason);
  }
}
