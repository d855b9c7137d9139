// Why it is done this way: docs/decisions/020-frames.md

import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { Fault } from '@kcorder/proto/fault.ts';
import { Crc32c } from '../crc32c.ts';
import { packFrame } from './frame.ts';
import { frameBytes, writeTable } from './seek-table.ts';

/** An image in frames. */
export interface PackedImage {
  readonly plainBytes: number;
  /** Of the bytes that were read; lower-case hex. */
  readonly plainSha256: string;
  /** Of the packed file. */
  readonly bytes: number;
  /** Of the packed file; eight lower-case hex digits. */
  readonly crc32c: string;
}

/** The packed file has no room: the disk is full, or it would be larger than it may. */
export class NoRoom extends Fault {
  constructor(to: string, why: string, options?: { cause: unknown }) {
    super('storage_failed', `the packed image ${to} has no room (${why}): free space on the collector's disk`, options);
    this.name = 'NoRoom';
  }
}

/** Frames that are held at once, plain and packed. Those of libuv's four threads that are left are for the files. */
const inWork = Math.min(4, Math.max(2, availableParallelism()));

/**
 * Packs a plain image into frames. What lies at `to` is replaced (mode 0600) and durable at the end, its directory is not; after any failure
 * nothing lies there. Throws NoRoom, storage_failed, evidence_missing for an image that is not there, and the signal's reason.
 */
export async function packImage(
  from: string,
  to: string,
  signal: AbortSignal,
  options: { readonly maxBytes?: number; readonly onBytes?: (plainBytes: number) => void } = {},
): Promise<PackedImage> {
  signal.throwIfAborted();
  await using plain = await open(from, 'r').catch((error: unknown) => {
    throw new Fault('evidence_missing', `the image ${from} cannot be opened: restore it from a copy`, { cause: error });
  });
  try {
    await rm(to, { force: true });
    await using packed = await open(to, 'wx', 0o600);
    const writer = new FrameWriter(packed, to, options.maxBytes ?? Number.POSITIVE_INFINITY);
    const sha256 = createHash('sha256');
    const plainBytes = await packAll(plain, writer, sha256, signal, options.onBytes);
    await writer.write(writeTable(writer.packedSizes, plainBytes));
    await packed.sync();
    const { bytes, crc32c } = writer;
    return { plainBytes, plainSha256: sha256.digest('hex'), bytes, crc32c };
  } catch (error) {
    await rm(to, { force: true });
    signal.throwIfAborted();
    if (error instanceof Fault) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ENOSPC' || code === 'EDQUOT') throw new NoRoom(to, code, { cause: error });
    const message = `the image ${from} could not be packed into ${to} (${code}): see to the collector's disk`;
    throw new Fault('storage_failed', message, { cause: error });
  }
}

async function packAll(
  plain: FileHandle,
  writer: FrameWriter,
  sha256: Hash,
  signal: AbortSignal,
  onBytes: (plainBytes: number) => void = () => undefined,
): Promise<number> {
  const waiting: Promise<Buffer>[] = [];
  let plainBytes = 0;
  try {
    for (;;) {
      signal.throwIfAborted();
      const data = await readFull(plain, plainBytes);
      plainBytes += data.length;
      if (data.length > 0) {
        const frame = packFrame(data);
        // It is waited for in its turn; until then a failure is nobody's.
        frame.catch(() => {});
        waiting.push(frame);
        sha256.update(data);
        onBytes(plainBytes);
      }
      const ended = data.length < frameBytes;
      while (waiting.length > (ended ? 0 : inWork - 1)) await writer.writeFrame((await waiting.shift()) as Buffer);
      if (ended) return plainBytes;
    }
  } finally {
    await Promise.allSettled(waiting);
  }
}

/** The next `frameBytes`, fewer only at the end. */
async function readFull(file: FileHandle, offset: number): Promise<Buffer> {
  const data = Buffer.allocUnsafeSlow(frameBytes);
  let filled = 0;
  while (filled < frameBytes) {
    const { bytesRead } = await file.read(data, filled, frameBytes - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return data.subarray(0, filled);
}

class FrameWriter {
  readonly packedSizes: number[] = [];
  bytes = 0;
  readonly #sum = new Crc32c();
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #maxBytes: number;

  constructor(file: FileHandle, path: string, maxBytes: number) {
    this.#file = file;
    this.#path = path;
    this.#maxBytes = maxBytes;
  }

  get crc32c(): string {
    return this.#sum.digest();
  }

  async writeFrame(frame: Buffer): Promise<void> {
    await this.write(frame);
    this.packedSizes.push(frame.length);
  }

  async write(data: Buffer): Promise<void> {
    if (this.bytes + data.length > this.#maxBytes) throw new NoRoom(this.#path, `it may have ${this.#maxBytes} bytes`);
    for (let done = 0; done < data.length; ) {
      const { bytesWritten } = await this.#file.write(data, done, data.length - done, this.bytes + done);
      done += bytesWritten;
    }
    this.#sum.update(data);
    this.bytes += data.length;
  }
}
