import { Fault } from '@kcorder/proto/fault.ts';
import type { RangeSource } from '../range-source.ts';
import { unpackFrame } from './frame.ts';
import { frameBytes, type SeekTable } from './seek-table.ts';

/** The plain frames of a packed image: those last used are kept, and a frame that several ask for at once is fetched and decoded once. */
export class FrameCache {
  readonly #packed: RangeSource;
  readonly #name: string;
  readonly #table: SeekTable;
  readonly #mostKept: number;
  /** The one that was used last comes last. */
  readonly #frames = new Map<number, Promise<Buffer>>();
  readonly #fetches = new Set<Promise<unknown>>();
  readonly #ending = new AbortController();

  constructor(packed: RangeSource, name: string, table: SeekTable, mostKept: number) {
    this.#packed = packed;
    this.#name = name;
    this.#table = table;
    this.#mostKept = mostKept;
  }

  /** The frames from first to last, which exist. A signal lets go of the caller only: others may wait for the same frames. */
  async get(first: number, last: number, signal?: AbortSignal): Promise<Buffer[]> {
    signal?.throwIfAborted();
    this.#ending.signal.throwIfAborted();
    const wanted = this.#begin(first, last);
    if (signal === undefined) return await wanted;
    const { promise, resolve, reject } = Promise.withResolvers<Buffer[]>();
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    wanted.then(resolve, reject);
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Ends what is being fetched. */
  async close(): Promise<void> {
    this.#ending.abort(new Fault('canceled', `the packed image ${this.#name} was closed`));
    this.#frames.clear();
    await Promise.allSettled(this.#fetches);
  }

  #begin(first: number, last: number): Promise<Buffer[]> {
    const frames: Promise<Buffer>[] = [];
    for (let frame = first; frame <= last; frame++) {
      const kept = this.#frames.get(frame);
      if (kept === undefined) this.#fetch(frame, this.#lastMissing(frame, last));
      else this.#keep(frame, kept);
      frames.push(this.#frames.get(frame) as Promise<Buffer>);
    }
    while (this.#frames.size > this.#mostKept) this.#frames.delete(this.#frames.keys().next().value as number);
    return Promise.all(frames);
  }

  #lastMissing(frame: number, last: number): number {
    let end = frame;
    while (end < last && !this.#frames.has(end + 1)) end++;
    return end;
  }

  #keep(frame: number, plain: Promise<Buffer>): void {
    this.#frames.delete(frame);
    this.#frames.set(frame, plain);
  }

  /** Neighbours come in one read. */
  #fetch(first: number, last: number): void {
    const from = this.#start(first);
    const packed = this.#packed.read(from, this.#start(last + 1) - from, this.#ending.signal);
    for (let frame = first; frame <= last; frame++) {
      const plain = packed.then((data) => this.#unpack(frame, data.subarray(this.#start(frame) - from)));
      this.#keep(frame, plain);
      this.#fetches.add(plain);
      const forget = (): void => {
        if (this.#frames.get(frame) === plain) this.#frames.delete(frame);
      };
      plain.catch(forget).finally(() => this.#fetches.delete(plain));
    }
  }

  async #unpack(frame: number, data: Buffer): Promise<Buffer> {
    const [start, end] = [this.#start(frame), this.#start(frame + 1)];
    const plainStart = frame * frameBytes;
    const plainEnd = Math.min(plainStart + frameBytes, this.#table.plainBytes);
    try {
      return await unpackFrame(data.subarray(0, end - start), plainEnd - plainStart);
    } catch (error) {
      const message = `bytes ${start} to ${end} of the packed image ${this.#name} are damaged, which are bytes ${plainStart} to ${plainEnd} of the image: restore it from a copy`;
      throw new Fault('evidence_damaged', message, { cause: error });
    }
  }

  #start(frame: number): number {
    return this.#table.starts[frame] as number;
  }
}
