import { createHash, type Hash } from 'node:crypto';

/** Bytes of an image that one segment digest covers; the last segment may be shorter. */
export const segmentBytes = 16 << 20;

/** SHA-256 of an image as a whole and of each of its segments, lower-case hex. */
export interface ImageDigest {
  readonly sha256: string;
  readonly segments: readonly string[];
}

/** Digests an image from its first byte on, in order. */
export class ImageHasher {
  readonly #whole: Hash = createHash('sha256');
  readonly #segments: string[] = [];
  #segment: Hash = createHash('sha256');
  #room = segmentBytes;

  update(data: Uint8Array): void {
    this.#whole.update(data);
    let rest = data;
    while (rest.length > 0) {
      const part = rest.subarray(0, this.#room);
      this.#segment.update(part);
      this.#room -= part.length;
      rest = rest.subarray(part.length);
      if (this.#room === 0) this.#closeSegment();
    }
  }

  /** Ends the digest. */
  end(): ImageDigest {
    if (this.#room < segmentBytes) this.#closeSegment();
    return { sha256: this.#whole.digest('hex'), segments: this.#segments };
  }

  #closeSegment(): void {
    this.#segments.push(this.#segment.digest('hex'));
    this.#segment = createHash('sha256');
    this.#room = segmentBytes;
  }
}
