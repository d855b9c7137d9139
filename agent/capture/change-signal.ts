/** Wakes whoever waits for a change of something shared. */
export class ChangeSignal {
  #waiting = Promise.withResolvers<void>();

  /** Something has changed. */
  ring(): void {
    this.#waiting.resolve();
    this.#waiting = Promise.withResolvers();
  }

  /** Resolves at the next ring. Take it before looking at what may change, or a ring in between is lost. */
  get next(): Promise<void> {
    return this.#waiting.promise;
  }
}
