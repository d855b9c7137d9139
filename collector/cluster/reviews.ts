import { Fault } from '@kcorder/proto/fault.ts';

/** Questions to the API server that run at once: in all, of one holder, and for streams that go on. */
const mostRunning = 64;
const mostOfHolder = 8;
const mostOfStreams = 32;

/**
 * Bounds the questions about known people. What is asked already is not asked twice; nobody takes the places of others; and streams that go on have
 * places of their own, for which they wait: a stream must not outlive its right because its owner keeps the API server busy.
 */
export class Reviews {
  readonly #underway = new Map<string, Promise<unknown>>();
  readonly #ofHolder = new Map<string, number>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #ofStreams = 0;

  /** For a call. `holder` is whoever pays for it, by `holderOf`; unset where another bound holds. Throws resource_exhausted. */
  async ofCall<T>(holder: string | undefined, question: () => Promise<T>): Promise<T> {
    const own = holder === undefined ? 0 : (this.#ofHolder.get(holder) ?? 0);
    if (own >= mostOfHolder) throw tooMany(`too many calls of ${holder} are being authorized at once`);
    if (this.#running >= mostRunning) throw tooMany('too many calls are being authorized at once');
    this.#running += 1;
    if (holder !== undefined) this.#ofHolder.set(holder, own + 1);
    try {
      return await question();
    } finally {
      this.#running -= 1;
      if (holder !== undefined) this.#leave(holder);
    }
  }

  /** For a stream that goes on. */
  async ofStream<T>(question: () => Promise<T>): Promise<T> {
    if (this.#ofStreams >= mostOfStreams) await new Promise<void>((go) => this.#waiting.push(go));
    else this.#ofStreams += 1;
    try {
      return await question();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#ofStreams -= 1;
      else next();
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

  #leave(holder: string): void {
    const left = (this.#ofHolder.get(holder) ?? 1) - 1;
    if (left === 0) this.#ofHolder.delete(holder);
    else this.#ofHolder.set(holder, left);
  }
}

/** Whoever pays for questions about somebody: of service accounts their namespace, as whoever can make one there can make many. */
export function holderOf(name: string): string {
  return /^system:serviceaccount:[^:]+/.exec(name)?.[0] ?? name;
}

const tooMany = (what: string): Fault =>
  new Fault('resource_exhausted', `${what}: try again in a second`, { retryAfterMs: 1_000 });
