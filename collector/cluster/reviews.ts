import { Fault } from '@kcorder/proto/fault.ts';

/** Questions to the API server that run at once for calls, and for those of one holder. */
const mostRunning = 64;
const mostOfHolder = 8;
/**
 * For streams that go on, twice as many as one holder may have: where they wait for each other, they outlive their right by a slow API server's
 * answers to all of them.
 */
const mostOfStreams = 128;

/**
 * Bounds the questions about known people. What is asked already is not asked twice; nobody takes the places of others; and streams that go on have
 * places of their own, for which holders wait in turns: a stream must not outlive its right because somebody keeps the API server busy.
 */
export class Reviews {
  readonly #underway = new Map<string, Promise<unknown>>();
  readonly #calls = new Places();
  #streams = 0;
  /** By holder, whose turn comes first first. */
  readonly #waiting = new Map<string, (() => void)[]>();

  /** For a call. `holder` is whoever pays for it, by `holderOf` of identity/person.ts; empty where another bound holds. Throws resource_exhausted. */
  async ofCall<T>(holder: string, question: () => Promise<T>): Promise<T> {
    if (this.#calls.of(holder) >= mostOfHolder && holder !== '')
      throw tooMany(`too many calls of ${holder} are being authorized at once`);
    if (this.#calls.all >= mostRunning) throw tooMany('too many calls are being authorized at once');
    this.#calls.enter(holder);
    try {
      return await question();
    } finally {
      this.#calls.leave(holder);
    }
  }

  /** For a stream that goes on. */
  async ofStream<T>(holder: string, question: () => Promise<T>): Promise<T> {
    if (this.#streams >= mostOfStreams)
      await new Promise<void>((go) => {
        const queue = this.#waiting.get(holder) ?? [];
        queue.push(go);
        this.#waiting.set(holder, queue);
      });
    else this.#streams += 1;
    try {
      return await question();
    } finally {
      this.#passOn();
    }
  }

  /** Gives the place of a question that has ended to the next: one holder after the other, however many questions each has. */
  #passOn(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#streams -= 1;
      return;
    }
    const [holder, queue] = next;
    this.#waiting.delete(holder);
    const go = queue.shift();
    if (queue.length > 0) this.#waiting.set(holder, queue);
    go?.();
  }

  /** Asks once for all that want the same answer at the same time. `key` says the whole question. */
  async once<T>(key: string, ask: () => Promise<T>): Promise<T> {
    const asked = this.#underway.get(key);
    if (asked !== undefined) return (await asked) as T;
    const asking = ask().finally(() => this.#underway.delete(key));
    this.#underway.set(key, asking);
    return await asking;
  }
}

/** Questions under way, in all and by holder. */
class Places {
  readonly #of = new Map<string, number>();
  all = 0;

  of(holder: string): number {
    return this.#of.get(holder) ?? 0;
  }

  enter(holder: string): void {
    this.all += 1;
    this.#of.set(holder, this.of(holder) + 1);
  }

  leave(holder: string): void {
    this.all -= 1;
    const left = this.of(holder) - 1;
    if (left === 0) this.#of.delete(holder);
    else this.#of.set(holder, left);
  }
}

const tooMany = (what: string): Fault =>
  new Fault('resource_exhausted', `${what}: try again in a second`, { retryAfterMs: 1_000 });
