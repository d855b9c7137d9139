const headerBytes = 32;
const magic = 0x4c694d45;

/** One record of a LiME image: a run of physical memory and where its bytes stand in the image. Ends are inclusive. */
export interface LimeRecord {
  readonly start: bigint;
  readonly end: bigint;
  readonly offsetBytes: number;
}

/**
 * Follows a LiME image from header to header. AVML writes no trailer and no length, so this is the only thing that tells a whole
 * image from one that was cut inside a record. Format: 32-byte little-endian headers (magic, version 1, first and last address,
 * 8 reserved bytes), as AVML 0.21 writes them.
 */
export class LimeWalker {
  #next = 0;
  #partial = Buffer.alloc(0);
  #broken: string | undefined;
  #last: LimeRecord | undefined;

  /** Where the next header is expected; equal to the image's size when the image ends between two records. */
  get nextHeaderBytes(): number {
    return this.#next;
  }

  get lastRecord(): LimeRecord | undefined {
    return this.#last;
  }

  /** What is wrong with an image of this size; undefined when it is whole. */
  damage(sizeBytes: number): string | undefined {
    if (this.#broken !== undefined) return this.#broken;
    if (this.#next === sizeBytes && sizeBytes > 0) return undefined;
    return `the image ends at byte ${sizeBytes}, its last record at byte ${this.#next}`;
  }

  /** Takes the bytes at `offset`. Bytes between headers may be left out. */
  feed(offset: number, data: Uint8Array): void {
    let position = Math.max(offset, this.#next + this.#partial.length);
    const end = offset + data.length;
    while (this.#broken === undefined && position < end) {
      const missing = headerBytes - this.#partial.length;
      const taken = data.subarray(position - offset, Math.min(position - offset + missing, data.length));
      this.#partial = Buffer.concat([this.#partial, taken]);
      if (this.#partial.length < headerBytes) return;
      this.#header(this.#partial);
      this.#partial = Buffer.alloc(0);
      position = this.#next;
    }
  }

  #header(header: Buffer): void {
    const start = header.readBigUInt64LE(8);
    const end = header.readBigUInt64LE(16);
    if (header.readUInt32LE(0) !== magic || header.readUInt32LE(4) !== 1) {
      this.#broken = `there is no LiME header at byte ${this.#next}`;
    } else if (end < start || (this.#last !== undefined && start <= this.#last.end)) {
      this.#broken = `the LiME record at byte ${this.#next} has the range ${start}-${end}, which cannot follow`;
    } else {
      this.#last = { start, end, offsetBytes: this.#next };
      this.#next += headerBytes + Number(end - start) + 1;
    }
  }
}
