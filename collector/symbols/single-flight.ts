interface Flight<T> {
  readonly result: Promise<T>;
  readonly abort: AbortController;
  waiting: number;
}

/** Work that is done once for all who ask for the same key at the same time, and one piece of work at a time over all keys. */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>();
  #last: Promise<unknown> = Promise.resolve();

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
    const result = this.#last.then(() => {
      abort.signal.throwIfAborted();
      return work(abort.signal);
    });
    // The next piece of work starts when this one has ended, however it ended.
    this.#last = result.catch(() => {});
    const flight = { result, abort, waiting: 0 };
    this.#flights.set(key, flight);
    const forget = () => this.#end(key, flight, undefined);
    result.then(forget, forget);
    return flight;
  }

  #end(key: string, flight: Flight<T>, reason: unknown): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
    flight.abort.abort(reason);
  }
}
