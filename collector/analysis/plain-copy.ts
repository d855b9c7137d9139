// Why it is done this way: docs/decisions/026-ranges-for-the-analysis.md

import { type FileHandle, open, rm, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { RangeSource } from '../store/range-source.ts';

/** Smaller reads are of the headers of records, which lie far apart. */
const leastReadBytes = 4096;
const pageBytes = 4096;
/** A frame of a packed image, of which no part can be had for less than the whole. */
const chunkBytes = 2 ** 20;
const mostKeptBytes = 8 * 2 ** 30;
/** What is taken before it is asked again what is free: a capture may have been promised it meanwhile. */
const leaseBytes = 64 * 2 ** 20;
/** Bounds the memory that chunks take on their way to the disk. */
const mostLoading = 32;
const mostAhead = 16;
/** Chunks that are written while answers still wait for it: a disk that is slower holds nothing up. */
const mostAwaited = 8;
/** Chunks that are read ahead at the same time. */
const stride = 4;
const mark = Buffer.from([1]);

/**
 * The bytes of an image at their own offsets, as far as they were read, for all workers of a run: a file without a name, which this process alone
 * can write.
 *
 *   chunks: of 1 MiB each
 *   marks:  from the next multiple of 4096 on, a byte for each chunk, which is 1 once the chunk is there as a whole
 *
 * A file of any other length is no copy. What cannot be kept is read as if there were none.
 */
export class PlainCopy implements AsyncDisposable {
  /** What a runner inherits, and may read: undefined when no file could be made. Close it once the runner has it. */
  readonly reader: FileHandle | undefined;
  readonly #dir: string;
  readonly #file: FileHandle | undefined;
  #kept: KeptImage | undefined;

  private constructor(dir: string, file?: FileHandle, reader?: FileHandle) {
    this.#dir = dir;
    this.#file = file;
    this.reader = reader;
  }

  /** Makes the file, whose name is gone again when this returns. Never rejects. */
  static async create(path: string): Promise<PlainCopy> {
    const dir = dirname(path);
    const file = await open(path, 'wx+', 0o600).catch(() => undefined);
    if (file === undefined) return new PlainCopy(dir);
    const reader = await open(path, 'r').catch(() => undefined);
    await rm(path, { force: true }).catch(() => {});
    return new PlainCopy(dir, file, reader);
  }

  /**
   * Returns what gives each slot the image, once the runner can see the form of the copy. A quarter of what is free is used at most. Aborting the
   * signal ends what is being read.
   */
  async keep(
    source: RangeSource,
    signal: AbortSignal,
    freeBytes = () => this.#freeBytes(),
  ): Promise<() => RangeSource> {
    const room = new Room(freeBytes);
    if (await this.#layOut(source.sizeBytes)) await room.renew();
    const kept = new KeptImage(source, signal, this.#file, room);
    this.#kept = kept;
    return () => new SlotImage(source, kept);
  }

  /** Waits for what is being written: abort the signal first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.reader?.close().catch(() => {});
    await this.#kept?.settled();
    await this.#file?.close().catch(() => {});
  }

  async #layOut(sizeBytes: number): Promise<boolean> {
    try {
      await this.#file?.truncate(marksAt(sizeBytes) + chunksOf(sizeBytes));
      return true;
    } catch {
      return false;
    }
  }

  async #freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#dir);
    return bavail * bsize;
  }
}

const chunksOf = (sizeBytes: number): number => Math.ceil(sizeBytes / chunkBytes);
const marksAt = (sizeBytes: number): number => Math.ceil(sizeBytes / pageBytes) * pageBytes;
const chunkOf = (offset: number): number => Math.floor(offset / chunkBytes);

interface Loading {
  readonly data: Promise<Buffer>;
  /** Settles when it is in the copy, or has failed; never rejects. */
  readonly settled: Promise<void>;
}

/** The bytes of the disk that a copy may take, in leases. */
class Room {
  readonly #freeBytes: () => Promise<number>;
  #usedBytes = 0;
  #writtenBytes = 0;
  #leftBytes = 0;
  #renewing: Promise<void> | undefined;
  #isClosed = false;

  constructor(freeBytes: () => Promise<number>) {
    this.#freeBytes = freeBytes;
  }

  /** False when there is no room now. */
  take(bytes: number): boolean {
    if (this.#isClosed || bytes > this.#leftBytes) return false;
    this.#leftBytes -= bytes;
    this.#usedBytes += bytes;
    if (this.#leftBytes < leaseBytes / 2) void this.renew();
    return true;
  }

  wrote(bytes: number): void {
    this.#writtenBytes += bytes;
  }

  /** For good. */
  close(): void {
    this.#isClosed = true;
  }

  /** Never rejects. */
  async renew(): Promise<void> {
    this.#renewing ??= this.#lease().finally(() => {
      this.#renewing = undefined;
    });
    await this.#renewing;
  }

  async #lease(): Promise<void> {
    const written = this.#writtenBytes;
    const free = await this.#freeBytes().catch(() => 0);
    const most = Math.min(mostKeptBytes, (free + written) / 4);
    this.#leftBytes = Math.min(leaseBytes, most - this.#usedBytes);
  }
}

/** An image, part of which is in the copy. */
class KeptImage {
  readonly #source: RangeSource;
  readonly #signal: AbortSignal;
  readonly #file: FileHandle | undefined;
  readonly #marked: Uint8Array;
  readonly #loading = new Map<number, Loading>();
  readonly #room: Room;
  #writing = 0;

  constructor(source: RangeSource, signal: AbortSignal, file: FileHandle | undefined, room: Room) {
    this.#source = source;
    this.#signal = signal;
    this.#file = file;
    this.#room = room;
    this.#marked = new Uint8Array(chunksOf(source.sizeBytes));
  }

  /** Begins to read the chunks that are not here, while there is room. Resolves when they are in the copy; never rejects. */
  async load(first: number, last: number): Promise<void> {
    const chunks = Array.from({ length: last - first + 1 }, (_, index) => first + index);
    for (const chunk of chunks) if (!this.#isHere(chunk)) this.#begin(chunk);
    await Promise.all(chunks.map((chunk) => this.#loading.get(chunk)?.settled));
  }

  /** Bytes of chunks, of which those that are not here are read as they are. */
  async read(offset: number, length: number): Promise<Buffer> {
    const end = offset + length;
    const parts: Promise<Buffer>[] = [];
    for (let from = offset; from < end; ) {
      const here = this.#isHere(chunkOf(from));
      let to = (chunkOf(from) + 1) * chunkBytes;
      while (!here && to < end && !this.#isHere(chunkOf(to))) to += chunkBytes;
      to = Math.min(to, end);
      parts.push(here ? this.#take(from, to) : this.#source.read(from, to - from, this.#signal));
      from = to;
    }
    const [only, ...more] = await Promise.all(parts);
    return more.length === 0 ? (only as Buffer) : Buffer.concat([only as Buffer, ...more]);
  }

  /** True while so much is being written that nobody should wait for it. */
  get isBehind(): boolean {
    return this.#writing > mostAwaited;
  }

  async settled(): Promise<void> {
    await Promise.all(Array.from(this.#loading.values(), ({ settled }) => settled));
  }

  #isHere(chunk: number): boolean {
    return this.#marked[chunk] === 1 || this.#loading.has(chunk);
  }

  async #take(from: number, to: number): Promise<Buffer> {
    const start = chunkOf(from) * chunkBytes;
    const loading = this.#loading.get(chunkOf(from));
    if (loading !== undefined) return (await loading.data).subarray(from - start, to - start);
    const data = Buffer.allocUnsafe(to - from);
    const bytesRead = await this.#file?.read(data, 0, data.length, from).then(
      (read) => read.bytesRead,
      () => 0,
    );
    return bytesRead === data.length ? data : await this.#source.read(from, to - from, this.#signal);
  }

  #begin(chunk: number): void {
    const offset = chunk * chunkBytes;
    const length = Math.min(chunkBytes, this.#source.sizeBytes - offset);
    if (this.#file === undefined || this.#loading.size >= mostLoading || this.#signal.aborted) return;
    if (!this.#room.take(length)) return;
    const data = this.#source.read(offset, length, this.#signal);
    // A chunk that cannot be read is told to whoever asks for it.
    const written = data.then((bytes) => this.#write(chunk, bytes)).catch(() => {});
    this.#loading.set(chunk, { data, settled: written.finally(() => this.#loading.delete(chunk)) });
  }

  /** The mark comes last: whoever sees it finds the chunk. */
  async #write(chunk: number, data: Buffer): Promise<void> {
    this.#writing += 1;
    try {
      await this.#writeAt(chunk * chunkBytes, data);
      await this.#writeAt(marksAt(this.#source.sizeBytes) + chunk, mark);
      this.#marked[chunk] = 1;
      this.#room.wrote(data.length);
    } catch {
      this.#room.close();
    } finally {
      this.#writing -= 1;
    }
  }

  async #writeAt(offset: number, data: Buffer): Promise<void> {
    const written = await this.#file?.write(data, 0, data.length, offset);
    if (written?.bytesWritten !== data.length) throw new Error('the disk is full');
  }
}

/** The image for one slot. While it reads on and on, twice as much each time is read ahead. */
class SlotImage implements RangeSource {
  readonly sizeBytes: number;
  readonly #source: RangeSource;
  readonly #kept: KeptImage;
  /** The last chunk that it had, and the last one that was read ahead of it. */
  #last = -1;
  #laid = -2;
  #ahead = 1;

  constructor(source: RangeSource, kept: KeptImage) {
    this.sizeBytes = source.sizeBytes;
    this.#source = source;
    this.#kept = kept;
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Buffer> {
    if (length < leastReadBytes) return await this.#source.read(offset, length, signal);
    const [first, last] = [chunkOf(offset), chunkOf(offset + length - 1)];
    const loaded = this.#kept.load(first, last);
    const reading = this.#kept.read(offset, length);
    void this.#readAhead(first, last);
    const data = await reading;
    // Then the worker finds the rest of the chunk in the copy.
    if (!this.#kept.isBehind) await loaded;
    return data;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #readAhead(first: number, last: number): Promise<void> {
    if (last === this.#last) return;
    const goesOn = first > this.#last && first <= this.#laid + 1;
    this.#ahead = goesOn ? Math.min(2 * this.#ahead, mostAhead) : 1;
    this.#last = last;
    let next = Math.max(last, goesOn ? this.#laid : 0) + 1;
    this.#laid = goesOn ? Math.min(last + this.#ahead, chunkOf(this.sizeBytes - 1)) : last;
    for (const until = this.#laid; next <= until; next += stride)
      await this.#kept.load(next, Math.min(next + stride - 1, until));
  }
}
