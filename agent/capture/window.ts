// Why it is done this way: docs/decisions/011-window.md

import { crc32 } from 'node:zlib';
import { chunkHeadroomBytes } from '@kcorder/proto/bridge/chunk.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Sink } from '../avml/fifo.ts';

/** A run of the image with room before it, so that it can be encoded where it lies. */
export interface HeldChunk {
  readonly offsetBytes: number;
  /** CRC-32 (IEEE 802.3) of the data. */
  readonly crc32: number;
  /** `headroomBytes` of room, then the data; a view into the window, good until these bytes are acknowledged. */
  readonly place: Buffer;
  readonly dataBytes: number;
}

/** How much of the image is kept, and in pieces of which size. */
export interface WindowSize {
  readonly chunkBytes: number;
  readonly chunks: number;
}

/** Free room before the data of every chunk. */
export const headroomBytes = chunkHeadroomBytes;

/** 24 MiB in chunks of 256 KiB: a tenth of a second at full speed, which is how long the collector takes to make bytes durable. */
export const windowSize: WindowSize = { chunkBytes: 256 << 10, chunks: 96 };

interface Place {
  readonly bytes: Buffer;
  /** Of the complete chunk; counted once however often it is sent. */
  crc32?: number;
}

/**
 * The part of the image that was read and is not yet durable at the collector, in chunks of one size. Bytes enter at `readBytes` and leave
 * at `heldFrom`; when all chunks are taken nothing enters, so AVML waits. Memory is taken as it is needed.
 */
export class Window implements Sink {
  readonly #size: WindowSize;
  /** By number of the chunk in the image. */
  readonly #live = new Map<number, Place>();
  /** Places that are not taken, the last used one on top: as long as the collector keeps up the same few are used again. */
  readonly #free: Buffer[];
  #readBytes = 0;
  #heldFrom = 0;
  #ended = false;

  constructor(size: WindowSize = windowSize) {
    this.#size = size;
    const placeBytes = headroomBytes + size.chunkBytes;
    // One piece for all: the system gives pages only as they are first written, and takes them all back at the end.
    const memory = Buffer.allocUnsafeSlow(size.chunks * placeBytes);
    this.#free = Array.from({ length: size.chunks }, (_, index) =>
      memory.subarray(index * placeBytes, (index + 1) * placeBytes),
    ).reverse();
  }

  /** Bytes read so far: the offset of the next one. */
  get readBytes(): number {
    return this.#readBytes;
  }

  /** The lowest offset that can still be sent. */
  get heldFrom(): number {
    return this.#heldFrom;
  }

  /** Whether the next byte has no place. */
  get isFull(): boolean {
    return this.#readBytes % this.#size.chunkBytes === 0 && this.#liveChunks() >= this.#size.chunks;
  }

  space(): Uint8Array {
    return this.#place(this.#readBytes).bytes.subarray(headroomBytes + (this.#readBytes % this.#size.chunkBytes));
  }

  /**
   * The next `count` bytes of the space have been filled. False when no place is left: the one that `space` then gives is
   * already the next one, and is not to be filled before `isFull` is false again.
   */
  filled(count: number): boolean {
    this.#readBytes += count;
    return !this.isFull;
  }

  /** No more bytes come: what is left is the last, shorter chunk. */
  end(): void {
    this.#ended = true;
  }

  /**
   * The chunk that starts at `offsetBytes`, to the end of its place; undefined when its bytes have not all been read yet.
   * The offset lies between `heldFrom` and `readBytes`.
   */
  chunkAt(offsetBytes: number): HeldChunk | undefined {
    const { chunkBytes } = this.#size;
    const within = offsetBytes % chunkBytes;
    const length = Math.min(chunkBytes, this.#readBytes - (offsetBytes - within));
    if (length <= within || (length < chunkBytes && !this.#ended)) return undefined;
    const { bytes } = this.#place(offsetBytes);
    const place = bytes.subarray(within, headroomBytes + length);
    const data = place.subarray(headroomBytes);
    return {
      offsetBytes,
      crc32: length - within === chunkBytes ? this.#checksum(offsetBytes, data) : crc32(data),
      // After a resume in the middle of a chunk the bytes before it are no free room, so this one chunk is copied.
      place: within === 0 ? place : Buffer.concat([Buffer.alloc(headroomBytes), data]),
      dataBytes: data.length,
    };
  }

  /**
   * Everything below `durableOffset` is durable and may be forgotten; lower than before is old news. Throws integrity_conflict when the
   * collector claims bytes that were never read.
   */
  acknowledge(durableOffset: number): void {
    if (durableOffset > this.#readBytes) {
      throw new Fault(
        'integrity_conflict',
        `the collector acknowledged ${durableOffset} bytes, but only ${this.#readBytes} were read; the capture cannot be trusted, start a new one`,
      );
    }
    const first = Math.floor(this.#heldFrom / this.#size.chunkBytes);
    this.#heldFrom = Math.max(this.#heldFrom, durableOffset);
    for (let number = first; number < Math.floor(this.#heldFrom / this.#size.chunkBytes); number += 1) {
      const place = this.#live.get(number);
      this.#live.delete(number);
      if (place !== undefined) this.#free.push(place.bytes);
    }
  }

  #liveChunks(): number {
    const { chunkBytes } = this.#size;
    return Math.floor(this.#readBytes / chunkBytes) - Math.floor(this.#heldFrom / chunkBytes) + 1;
  }

  #place(offsetBytes: number): Place {
    const number = Math.floor(offsetBytes / this.#size.chunkBytes);
    const known = this.#live.get(number);
    if (known !== undefined) return known;
    const bytes = this.#free.pop();
    if (bytes === undefined) throw new Fault('internal', 'the window was filled beyond its size');
    const place = { bytes };
    this.#live.set(number, place);
    return place;
  }

  #checksum(offsetBytes: number, data: Buffer): number {
    const place = this.#place(offsetBytes);
    place.crc32 ??= crc32(data);
    return place.crc32;
  }
}
