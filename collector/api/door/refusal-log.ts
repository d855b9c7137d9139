/** What is said of refusals that are alike: the first one, and how many there were. */
export interface RefusalLine {
  readonly address: string;
  /** A fault code, or why a connection was refused. */
  readonly reason: string;
  readonly count: number;
  /** Method and sentence of the first one. */
  readonly first: Readonly<Record<string, unknown>>;
}

const everyMs = 10_000;
/** More kinds than this at once are counted together. */
const mostKinds = 1_000;

/** Tells the first refusal of a kind (address and reason) at once, and of those that follow how many there were every ten seconds. */
export class RefusalLog {
  readonly #write: (line: RefusalLine) => void;
  readonly #kinds = new Map<string, { line: RefusalLine; more: number }>();
  readonly #timer: NodeJS.Timeout;

  constructor(write: (line: RefusalLine) => void) {
    this.#write = write;
    this.#timer = setInterval(() => this.tell(), everyMs);
    this.#timer.unref();
  }

  note(address: string, reason: string, first: RefusalLine['first']): void {
    const isFull = this.#kinds.size >= mostKinds;
    const key = `${address} ${reason}`;
    const known = this.#kinds.get(key) ?? (isFull ? this.#kinds.get('others') : undefined);
    if (known !== undefined) {
      known.more += 1;
      return;
    }
    const line = isFull
      ? { address: 'others', reason: 'any', count: 1, first: {} }
      : { address, reason, count: 1, first };
    this.#kinds.set(isFull ? 'others' : key, { line, more: 0 });
    this.#write(line);
  }

  /** Tells what has come since, and forgets it. */
  tell(): void {
    for (const { line, more } of this.#kinds.values()) if (more > 0) this.#write({ ...line, count: more });
    this.#kinds.clear();
  }

  close(): void {
    clearInterval(this.#timer);
    this.tell();
  }
}
