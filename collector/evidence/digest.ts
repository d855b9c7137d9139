import { createHash, type Hash } from 'node:crypto';

/** Every so many bytes of an image its digest so far is noted. */
export const segmentBytes = 16 << 20;

/** SHA-256 of an image, lower-case hex. */
export interface ImageDigest {
  readonly sha256: string;
  /** SHA-256 of the image up to the end of each segment; the last one is of the whole. The first that differs tells where damage begins. */
  readonly prefixes: readonly string[];
}

/** Digests an image from its first byte on, in order. One pass: a digest of each segment by itself would cost the same once more. */
export class ImageHasher {
  readonly #hash: Hash = createHash('sha256');
  readonly #prefixes: string[] = [];
  #room = segmentBytes;

  update(data: Uint8Array): void {
    for (let rest = data; rest.length > 0; ) {
      const part = rest.subarray(0, this.#room);
      this.#hash.update(part);
      this.#room -= part.length;
      rest = rest.subarray(part.length);
      if (this.#room > 0) continue;
      this.#prefixes.push(this.#hash.copy().digest('hex'));
      this.#room = segmentBytes;
    }
  }

  /** Ends the digest. */
  end(): ImageDigest {
    const sha256 = this.#hash.digest('hex');
    return { sha256, prefixes: this.#room < segmentBytes ? [...this.#prefixes, sha256] : this.#prefixes };
  }
}
