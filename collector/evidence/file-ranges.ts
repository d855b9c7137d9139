import { type FileHandle, open } from 'node:fs/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import type { RangeSource } from './range-source.ts';

/** Ranges of a local file, which stays readable while it is open even if it is removed. */
export class FileRanges implements RangeSource {
  readonly sizeBytes: number;
  readonly #path: string;
  readonly #handle: FileHandle;

  private constructor(path: string, handle: FileHandle, sizeBytes: number) {
    this.sizeBytes = sizeBytes;
    this.#path = path;
    this.#handle = handle;
  }

  /** Throws evidence_missing when there is no such file or it is of another size, and errors of the system. */
  static async open(path: string, sizeBytes: number): Promise<FileRanges> {
    const handle = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
      throw cause.code === 'ENOENT' ? missing(path, 'it is not there', cause) : cause;
    });
    const { size } = await handle.stat();
    if (size === sizeBytes) return new FileRanges(path, handle, sizeBytes);
    await handle.close();
    throw missing(path, `${size} of ${sizeBytes} bytes are there`);
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Buffer> {
    if (offset < 0 || length < 0 || offset + length > this.sizeBytes)
      throw new RangeError(`${offset}+${length} is not within the ${this.sizeBytes} bytes of ${this.#path}`);
    const buffer = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; ) {
      signal?.throwIfAborted();
      const { bytesRead } = await this.#handle.read(buffer, at, length - at, offset + at).catch((cause: unknown) => {
        throw new Fault('storage_failed', `${this.#path} cannot be read at ${offset + at}: look at the disk`, {
          cause,
        });
      });
      if (bytesRead === 0) throw missing(this.#path, `it ends at ${offset + at}`);
      at += bytesRead;
    }
    signal?.throwIfAborted();
    return buffer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

function missing(path: string, why: string, cause?: unknown): Fault {
  return new Fault('evidence_missing', `${path} is gone: ${why}; restore it from a copy`, { cause });
}
