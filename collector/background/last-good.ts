import { Fault } from '@kcorder/proto/fault.ts';

/** How a file is read, and what is told of it. */
export interface LastGoodDeps<T> {
  /** Returns the text of now. Throws a fault that names the file. */
  readonly read: () => Promise<string>;
  /** Throws a fault that names all that is wrong. */
  readonly parse: (text: string) => T;
  /** Takes the value of a text that is not the last good one. If it throws, the text counts as refused, and is tried again. */
  readonly changed: (value: T) => void;
  /** The last good text is back after a fault. */
  readonly recovered?: (value: T) => void;
  /** The file cannot be used, so the last good value holds. Told once for each new fault. */
  readonly refused: (fault: Fault) => void;
}

const lookMs = 15_000;

/** A file that is read again every 15 s; whatever becomes of it, its last good value holds. */
export class LastGood<T> {
  readonly #deps: LastGoodDeps<T>;
  readonly #timer: NodeJS.Timeout;
  #text: string;
  #value: T;
  #complaint = '';

  private constructor(deps: LastGoodDeps<T>, text: string) {
    this.#deps = deps;
    this.#text = text;
    this.#value = deps.parse(text);
    this.#timer = setInterval(() => void this.look(), lookMs).unref();
  }

  /** Reads the file for the first time, which is no change. Throws what reading and parsing throw. */
  static async open<T>(deps: LastGoodDeps<T>): Promise<LastGood<T>> {
    return new LastGood(deps, await deps.read());
  }

  /** The last good value. */
  get value(): T {
    return this.#value;
  }

  /** Looks at the file now. Never throws. */
  async look(): Promise<void> {
    const { read, parse, changed, recovered, refused } = this.#deps;
    try {
      const text = await read();
      if (text !== this.#text) {
        const value = parse(text);
        changed(value);
        this.#text = text;
        this.#value = value;
      } else if (this.#complaint !== '') recovered?.(this.#value);
      this.#complaint = '';
    } catch (error) {
      const fault = Fault.from(error);
      if (fault.message === this.#complaint) return;
      this.#complaint = fault.message;
      refused(fault);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
