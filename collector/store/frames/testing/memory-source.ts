import type { RangeSource } from '../../range-source.ts';

/** Bytes in memory as a source that tells how it was used. */
export interface MemorySource extends RangeSource {
  /** Offset and length of every read. */
  readonly reads: [number, number][];
  disposed: number;
  /** The next read throws it. */
  failNext: Error | undefined;
}

/** Every read takes delayMs. */
export function memorySource(data: Buffer, delayMs = 0): MemorySource {
  return {
    sizeBytes: data.length,
    reads: [],
    disposed: 0,
    failNext: undefined,
    async read(offset, length, signal) {
      this.reads.push([offset, length]);
      const failure = this.failNext;
      this.failNext = undefined;
      if (failure !== undefined) throw failure;
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      signal?.throwIfAborted();
      if (offset < 0 || offset + length > data.length) throw new Error(`read ${length} at ${offset} of ${data.length}`);
      return data.subarray(offset, offset + length);
    },
    async [Symbol.asyncDispose]() {
      this.disposed += 1;
    },
  };
}

/** A copy with one byte changed. */
export function damage(data: Buffer, at: number, mask: number): Buffer {
  const damaged = Buffer.from(data);
  damaged[at] = (damaged[at] as number) ^ mask;
  return damaged;
}
