import { Fault } from '@kcorder/proto/fault.ts';

/** Questions to the API server that run at once: for calls, for streams that go on, and of one holder of each. */
const mostRunning = 64;
const mostOfHolder = 8;
const mostOfStreams = 32;

/**
 * Bounds the questions about known people. What is asked already is not asked twice; nobody takes the places of others; and streams that go on have
 * places of their own, for which holders wait in turns: a stream must not outlive its right because somebody keeps the API server busy.
 */
export class Reviews {
  readonly #underway = new Map<string, Promise<unknown>>();
  readonly #calls = new Places();
  readonly #streams = new Places();
  /** By holder, whose turn comes first first. */
  readonly #waiting = new Map<string, (() => void)[]>();

  /** For a call. `holder` is whoever pays for it, by `holderOf`; empty where another bound holds. Throws resource_exhausted. */
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
    if (this.#isFullFor(holder))
      await new Promise<void>((go) => {
        const queue = this.#waiting.get(holder) ?? [];
        queue.push(go);
        this.#waiting.set(holder, queue);
      });
    else this.#streams.enter(holder);
    try {
      return await question();
    } finally {
      this.#streams.leave(holder);
      this.#letNextIn();
    }
  }

  #isFullFor(holder: string): boolean {
    return this.#streams.all >= mostOfStreams || this.#streams.of(holder) >= mostOfHolder;
  }

  /** One holder after the other, however many questions each has. */
  #letNextIn(): void {
    for (const [holder, queue] of this.#waiting) {
      if (this.#isFullFor(holder)) continue;
      this.#waiting.delete(holder);
      const go = queue.shift();
      if (queue.length > 0) this.#waiting.set(holder, queue);
      this.#streams.enter(holder);
      go?.();
      return;
    }
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

/** Whoever pays for questions about somebody: of service accounts their namespace, as whoever can make one there can make many. */
export function holderOf(name: string): string {
  return /^system:serviceaccount:[^:]+/.exec(name)?.[0] ?? name;
}

const tooMany = (what: string): Fault =>
  new Fault('resource_exhausted', `${what}: try again in a second`, { retryAfterMs: 1_000 });
