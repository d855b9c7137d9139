/** What is wrong with a body. */
export type BodyProblem = { readonly kind: 'too_large'; readonly bytes: number } | { readonly kind: 'compressed' };

/** Follows the messages of a request body by their five bytes of head, before anything of it is kept. */
export class MessageMeter {
  readonly #mostBytes: number;
  #headLeft = 5;
  #size = 0;
  #left = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** Whether a message has begun and not ended. */
  get isInMessage(): boolean {
    return this.#headLeft < 5 || this.#left > 0;
  }

  /** Size of the message that has begun; 0 until its head is complete. */
  get messageBytes(): number {
    return this.#headLeft > 0 ? 0 : this.#size;
  }

  /** Takes the next bytes. `completed` is told the size of each message that ends in them, with its head. */
  take(chunk: Uint8Array, completed: (bytes: number) => void): BodyProblem | undefined {
    for (let at = 0; at < chunk.length; ) {
      if (this.#headLeft > 0) {
        const byte = chunk[at] ?? 0;
        at += 1;
        if (this.#headLeft === 5 && byte !== 0) return { kind: 'compressed' };
        this.#size = this.#headLeft === 5 ? 0 : this.#size * 256 + byte;
        this.#headLeft -= 1;
        if (this.#headLeft > 0) continue;
        if (this.#size > this.#mostBytes) return { kind: 'too_large', bytes: this.#size };
        this.#left = this.#size;
      } else {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
      }
      if (this.#left === 0) {
        this.#headLeft = 5;
        completed(this.#size + 5);
      }
    }
    return undefined;
  }
}
