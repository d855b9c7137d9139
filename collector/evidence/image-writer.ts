import { type FileHandle, open } from 'node:fs/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import { type ImageDigest, ImageHasher } from './digest.ts';
import { LimeWalker } from './lime.ts';

const readBytes = 1 << 20;

/**
 * Appends an image to its file. What `sync` has returned survives a crash; everything after it may be gone. Writes never overlap:
 * one caller appends, in order.
 */
export class ImageWriter {
  readonly walker = new LimeWalker();
  readonly #file: FileHandle;
  readonly #path: string;
  #offset: number;
  /** Only while every byte has passed through this writer; otherwise the file is read back at the end. */
  #hasher: ImageHasher | undefined;

  private constructor(file: FileHandle, path: string, offset: number) {
    this.#file = file;
    this.#path = path;
    this.#offset = offset;
    this.#hasher = offset === 0 ? new ImageHasher() : undefined;
  }

  /** Opens the file for going on at an offset; whatever stands after it was never acknowledged and is cut off. */
  static async open(path: string, durableBytes: number): Promise<ImageWriter> {
    const file = await open(path, durableBytes === 0 ? 'w+' : 'r+', 0o600).catch((error: unknown) => {
      if (!isAbsent(error)) return failed(path, 'opened', error);
      const message = `${path} is gone, ${durableBytes} bytes of it were acknowledged: the disk lost evidence`;
      throw new Fault('evidence_missing', message, { cause: error });
    });
    try {
      const { size } = await file.stat();
      if (size < durableBytes) {
        throw new Fault(
          'evidence_missing',
          `${path} has ${size} bytes, ${durableBytes} were acknowledged: the disk lost evidence`,
        );
      }
      await file.truncate(durableBytes);
      const writer = new ImageWriter(file, path, durableBytes);
      await writer.#walkTo(durableBytes);
      return writer;
    } catch (error) {
      await file.close();
      throw error instanceof Fault ? error : failed(path, 'opened', error);
    }
  }

  /** Where the next byte goes. */
  get offsetBytes(): number {
    return this.#offset;
  }

  async append(data: Uint8Array): Promise<void> {
    await this.#writeAll(data).catch((error: unknown) => failed(this.#path, 'written', error));
    this.#hasher?.update(data);
    this.walker.feed(this.#offset, data);
    this.#offset += data.length;
  }

  /** Whether the stored bytes at an offset are these. */
  async holds(offset: number, data: Uint8Array): Promise<boolean> {
    const stored = Buffer.alloc(data.length);
    const { bytesRead } = await this.#file.read(stored, 0, stored.length, offset);
    return bytesRead === data.length && stored.equals(data);
  }

  /** Makes everything appended so far durable and returns that offset. After a failure this writer must be closed. */
  async sync(): Promise<number> {
    const offset = this.#offset;
    await this.#file.datasync().catch((error: unknown) => failed(this.#path, 'synced', error));
    return offset;
  }

  /** The digest of the image, from memory or, after a restart, from the file. */
  async digest(): Promise<ImageDigest> {
    const hasher = this.#hasher ?? (await this.#rehash());
    this.#hasher = undefined;
    return hasher.end();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #writeAll(data: Uint8Array): Promise<void> {
    let done = 0;
    while (done < data.length) {
      const { bytesWritten } = await this.#file.write(data, done, data.length - done, this.#offset + done);
      done += bytesWritten;
    }
  }

  async #rehash(): Promise<ImageHasher> {
    const hasher = new ImageHasher();
    const buffer = Buffer.alloc(readBytes);
    for (let offset = 0; offset < this.#offset; ) {
      const { bytesRead } = await this.#file.read(buffer, 0, Math.min(readBytes, this.#offset - offset), offset);
      if (bytesRead === 0)
        throw new Fault('evidence_missing', `${this.#path} ends at byte ${offset}, ${this.#offset} were written`);
      hasher.update(buffer.subarray(0, bytesRead));
      offset += bytesRead;
    }
    return hasher;
  }

  async #walkTo(end: number): Promise<void> {
    const header = Buffer.alloc(32);
    while (this.walker.nextHeaderBytes < end && this.walker.damage(end) !== undefined) {
      const at = this.walker.nextHeaderBytes;
      const { bytesRead } = await this.#file.read(header, 0, Math.min(header.length, end - at), at);
      this.walker.feed(at, header.subarray(0, bytesRead));
      if (this.walker.nextHeaderBytes === at) return;
    }
  }
}

const isAbsent = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';

function failed(path: string, verb: string, error: unknown): never {
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
  throw new Fault(
    'storage_failed',
    `${path} could not be ${verb}${code}: see to the collector's disk; the capture goes on when it works again`,
    {
      cause: error,
    },
  );
}
