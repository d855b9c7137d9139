import { networkReason } from './network-reason.ts';

/** What the next look into a body brings. */
export type BodyStep =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  /** Its end, as far as HTTP can tell: a body without any length that is cut looks the same. */
  | { readonly kind: 'end' }
  | { readonly kind: 'cut'; readonly reason: string };

/** The body of an answer. Holds a connection until it has been read to its end or discarded. */
export class Body {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #stop: AbortController;
  readonly #signal: AbortSignal;
  readonly #idleMs: number;
  readonly #release: () => void;
  #ended = false;

  /** `stop` ends the exchange that brought the answer; `release` is called once nothing of it is needed any more. */
  constructor(response: Response, stop: AbortController, signal: AbortSignal, idleMs: number, release: () => void) {
    this.#reader = response.body?.getReader();
    this.#stop = stop;
    this.#signal = signal;
    this.#idleMs = idleMs;
    this.#release = release;
  }

  /** Waits for bytes, at most the idle time. After `end` or `cut` there is nothing more. Throws the signal's reason only. */
  async next(): Promise<BodyStep> {
    if (this.#reader === undefined) return { kind: 'end' };
    const idle = new Error(`sent no byte for ${this.#idleMs / 1000} s`);
    const timer = setTimeout(() => this.#stop.abort(idle), this.#idleMs);
    try {
      const { done, value } = await this.#reader.read();
      this.#ended = done;
      if (done) return { kind: 'end' };
      return { kind: 'bytes', bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength) };
    } catch (error) {
      this.#signal.throwIfAborted();
      return { kind: 'cut', reason: error === idle ? idle.message : `broke off (${networkReason(error)})` };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Gives the connection up, or back when the body was read to its end. */
  discard(): void {
    this.#release();
    if (!this.#ended) this.#stop.abort();
  }
}
