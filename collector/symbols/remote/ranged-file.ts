import type { FileHandle } from 'node:fs/promises';
import type { ByteSource } from '@kcorder/isf/byte-source.ts';
import type { RandomAccess } from '../elf-build-id.ts';
import type { ByteRange, DownloadEnd } from './download.ts';
import { readFrom, writeAt } from './draft.ts';
import type { ElfLimits } from './elf-limits.ts';
import { download } from './http.ts';
import type { ObjectVersion } from './object-version.ts';
import type { Timeouts } from './timeouts.ts';

/** Why no more of a file can be had. */
export type Stop = Exclude<DownloadEnd, { kind: 'ok' }>;

/** Thrown through a reader that knows nothing of the network. */
export class Stopped extends Error {
  readonly end: Stop;

  constructor(end: Stop) {
    super(`reading stopped: ${end.kind}`);
    this.end = end;
  }
}

class Missing extends Error {
  readonly range: ByteRange;

  constructor(range: ByteRange) {
    super('bytes that are not here yet');
    this.range = range;
  }
}

interface Remote {
  readonly url: URL;
  readonly version: ObjectVersion & { readonly sizeBytes: number };
  readonly limits: ElfLimits;
  readonly timeouts: Timeouts;
  readonly signal: AbortSignal;
}

/** All headers and notes of a file together: a file whose notes lie one a page cannot keep us busy. */
const maxPagedBytes = 32 << 20;
const maxRounds = 16;

/** A remote file of which a sparse local copy comes into being, page by page for readers and range by range. */
export class RangedFile implements RandomAccess {
  readonly sizeBytes: number;
  readonly #draft: FileHandle;
  readonly #remote: Remote;
  readonly #pages = new Set<number>([0]);
  #version: ObjectVersion;
  #bytesRead = 0;

  /** `draft` has the file's size and its first page. */
  constructor(draft: FileHandle, remote: Remote) {
    this.sizeBytes = remote.version.sizeBytes;
    this.#draft = draft;
    this.#remote = remote;
    this.#version = remote.version;
  }

  /** What came over the network, in bytes. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Throws Stopped. */
  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    await this.#page({ offsetBytes, lengthBytes });
    return this.#local(offsetBytes, lengthBytes);
  }

  /** The result of a reader of local bytes, which is run again whenever bytes were missing. Throws Stopped and what the reader throws. */
  async readBy<T>(reader: (source: ByteSource) => T): Promise<T> {
    const source: ByteSource = {
      sizeBytes: this.sizeBytes,
      read: (offsetBytes, lengthBytes) => {
        const range = { offsetBytes, lengthBytes };
        if (this.#missing(range).length > 0) throw new Missing(range);
        return this.#local(offsetBytes, lengthBytes);
      },
    };
    for (let round = 0; round < maxRounds; round += 1) {
      try {
        return reader(source);
      } catch (error) {
        if (!(error instanceof Missing)) throw error;
        await this.#page(error.range);
      }
    }
    throw new Stopped({ kind: 'rejected', problem: 'has headers that lead from one to the next without an end' });
  }

  /** Fetches ranges over several connections; undefined when all are here. The first that cannot be had ends the others. */
  async fetch(ranges: readonly ByteRange[], onBytes: (count: number) => void): Promise<Stop | undefined> {
    const stop = new AbortController();
    const signal = AbortSignal.any([this.#remote.signal, stop.signal]);
    const queue = ranges.values();
    let bad: Stop | undefined;
    const work = async () => {
      for (const range of queue) {
        const end = await this.#get(range, signal, onBytes);
        if (end === undefined) continue;
        bad ??= end;
        stop.abort();
        return;
      }
    };
    const guarded = () =>
      work().catch((error: unknown) => {
        stop.abort(error);
        throw error;
      });
    const ends = await Promise.allSettled(Array.from({ length: this.#remote.limits.connections }, guarded));
    this.#remote.signal.throwIfAborted();
    if (bad !== undefined) return bad;
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    return undefined;
  }

  async #get(range: ByteRange, signal: AbortSignal, onBytes?: (count: number) => void): Promise<Stop | undefined> {
    const { url, limits, timeouts } = this.#remote;
    const take = (offsetBytes: number, bytes: Buffer) => {
      writeAt(this.#draft, offsetBytes, bytes);
      onBytes?.(bytes.length);
    };
    const request = { url, range, version: this.#version, limitBytes: limits.fileBytes };
    const end = await download(request, take, timeouts, signal);
    if (end.kind !== 'ok') return end;
    this.#bytesRead += end.bytesRead;
    // A server that does not know If-Range is found out once.
    this.#version = end.version;
    return undefined;
  }

  async #page(range: ByteRange): Promise<void> {
    const missing = this.#missing(range);
    const [first, last] = [missing[0], missing.at(-1)];
    if (first === undefined || last === undefined) return;
    const { pageBytes } = this.#remote.limits;
    const offsetBytes = first * pageBytes;
    const lengthBytes = Math.min((last + 1) * pageBytes, this.sizeBytes) - offsetBytes;
    if (this.#pages.size * pageBytes + lengthBytes > maxPagedBytes) {
      throw new Stopped({ kind: 'rejected', problem: `has more than ${maxPagedBytes} bytes of headers and notes` });
    }
    const stop = await this.#get({ offsetBytes, lengthBytes }, this.#remote.signal);
    if (stop !== undefined) throw new Stopped(stop);
    for (let page = first; page <= last; page += 1) this.#pages.add(page);
  }

  /** Numbers of the pages of a range, as far as it lies in the file, that are not here. */
  #missing({ offsetBytes, lengthBytes }: ByteRange): number[] {
    const { pageBytes } = this.#remote.limits;
    const endBytes = Math.min(offsetBytes + lengthBytes, this.sizeBytes);
    const missing: number[] = [];
    for (let page = Math.floor(offsetBytes / pageBytes); page * pageBytes < endBytes; page += 1) {
      if (!this.#pages.has(page)) missing.push(page);
    }
    return missing;
  }

  #local(offsetBytes: number, lengthBytes: number): Buffer {
    return readFrom(this.#draft, this.sizeBytes, offsetBytes, lengthBytes);
  }
}
