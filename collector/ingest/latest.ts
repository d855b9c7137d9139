/** A stream of which only the newest value matters: values that nobody has taken yet are replaced. */
export class Latest<T> implements AsyncIterable<T> {
  #pending: { value: T } | undefined;
  #ended = false;
  #failure: { error: unknown } | undefined;
  #wake: (() => void) | undefined;

  put(value: T): void {
    this.#pending = { value };
    this.#wake?.();
  }

  /** Ends the stream after the pending value, or with an error. */
  end(failure?: { error: unknown }): void {
    this.#ended = true;
    this.#failure ??= failure;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    while (true) {
      const pending = this.#pending;
      this.#pending = undefined;
      if (this.#failure !== undefined) throw this.#failure.error;
      if (pending !== undefined) yield pending.value;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
