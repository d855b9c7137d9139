import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Chunk } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import type { Request } from '../capture/capture.ts';
import type { ImageWriter } from '../evidence/image-writer.ts';
import { scannedBytes } from './image-progress.ts';

const syncEveryBytes = 8 << 20;
const syncEveryMs = 100;

/** What an acquisition needs from the rest of the collector. */
export interface AcquisitionPorts {
  /** Opens the image file at the durable offset. */
  openWriter(durableBytes: number): Promise<ImageWriter>;
  /** Journals the durable offset. */
  advance(durableBytes: number): void;
}

/** An upload stream that can be asked to let go. */
export interface StreamHolder {
  readonly acquisitionId: string;
  readonly attempt: number;
  /** The agent says that it leaves the stream before this one, which works, for a newer connection. */
  readonly moved: boolean;
  /** Ends the stream with this fault, or well without one, and resolves when it writes no more, whether or not its peer takes the answers. */
  end(fault?: Fault): Promise<void>;
}

/** One image on its way to the disk, over any number of upload streams. Bytes are acknowledged only when synced and journaled. */
export class Acquisition {
  readonly request: Request;
  /** Monotonic milliseconds of the last durable progress. */
  lastProgressMs = performance.now();
  /** Why bytes do not become durable at the moment; for the reason of a stall. */
  lastError: string | undefined;
  /** Told the durable offset whenever it moves; the stream that is open now sets it. */
  acknowledge: (durableBytes: number) => void = () => undefined;
  /** The upload stream that is open now. */
  holder: StreamHolder | undefined;
  readonly #ports: AcquisitionPorts;
  #writer: ImageWriter | undefined;
  #durable: number;
  #syncing: Promise<void> | undefined;
  /** Ends the wait for more bytes to sync at once. */
  #syncNow: () => void = () => undefined;
  /** Why the last writer was given up; unset as soon as there is a new one. */
  #failure: { readonly error: unknown } | undefined;

  constructor(request: Request, durableBytes: number, ports: AcquisitionPorts) {
    this.request = request;
    this.#durable = durableBytes;
    this.#ports = ports;
  }

  get durableBytes(): number {
    return this.#durable;
  }

  get scannedBytes(): number {
    return this.#writer === undefined ? 0 : scannedBytes(this.request.kernel.ramRanges, this.#writer.walker);
  }

  /** The writer at the end of what is stored; after a failed sync a new one, back at the durable offset. */
  async writer(): Promise<ImageWriter> {
    this.#writer ??= await this.#ports.openWriter(this.#durable);
    this.#failure = undefined;
    return this.#writer;
  }

  /**
   * Stores one chunk. Throws checksum_mismatch, offset_gap, ceiling_exceeded, integrity_conflict; waits while the disk refuses bytes,
   * so that the sender is held back and nothing is lost.
   */
  async store(chunk: Chunk, signal: AbortSignal): Promise<void> {
    const { data } = chunk;
    const offset = Number(chunk.offset);
    const what = `capture ${this.request.id}, chunk at byte ${offset}`;
    if (data.length === 0) throw new Fault('invalid_argument', `${what}: it has no byte`);
    if (crc32(data) !== chunk.crc32)
      throw new Fault('checksum_mismatch', `${what}: its checksum does not fit: send it again`);
    const writer = await this.writer();
    const expected = writer.offsetBytes;
    if (offset > expected) throw new Fault('offset_gap', `${what}: byte ${expected} is expected: go on from there`);
    if (offset + data.length > this.request.ceilingBytes) {
      throw new Fault(
        'ceiling_exceeded',
        `${what}: the node declared memory for at most ${this.request.ceilingBytes} bytes of image`,
      );
    }
    const known = data.subarray(0, expected - offset);
    if (known.length > 0 && !(await writer.holds(offset, known))) {
      throw new Fault('integrity_conflict', `${what}: it differs from what is stored there`);
    }
    await this.#append(writer, data.subarray(known.length), signal);
    if (writer.offsetBytes === this.#durable) this.acknowledge(this.#durable);
    else this.#sync();
    if (writer.offsetBytes - this.#durable >= syncEveryBytes) this.#syncNow();
  }

  async #append(writer: ImageWriter, data: Uint8Array, signal: AbortSignal): Promise<void> {
    if (data.length === 0) return;
    while (true) {
      try {
        await writer.append(data);
        this.lastError = undefined;
        return;
      } catch (error) {
        this.lastError = Fault.from(error).message;
        // A failed sync has taken the writer away meanwhile: only a new stream can go on, from the durable offset.
        if (this.#writer !== writer) throw error;
        await sleep(1000, undefined, { signal });
      }
    }
  }

  /** Makes everything stored durable. Throws when it is not, also when that had shown before: what was stored since is gone. */
  async settle(): Promise<void> {
    this.#syncNow();
    await this.#syncing?.catch(() => undefined);
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#writer !== undefined && this.#writer.offsetBytes > this.#durable) await this.#syncOnce(this.#writer);
  }

  /** Lets go of the file. */
  async close(): Promise<void> {
    await this.#syncing?.catch(() => undefined);
    const writer = this.#writer;
    this.#writer = undefined;
    await writer?.close();
  }

  /** Hands the writer over for sealing, at the durable offset; settle before. */
  async release(): Promise<ImageWriter> {
    const writer = await this.writer();
    this.#writer = undefined;
    return writer;
  }

  #sync(): void {
    if (this.#syncing !== undefined) return;
    this.#syncing = this.#syncLoop().finally(() => {
      this.#syncing = undefined;
    });
    // A sender that waits for acknowledgements would wait for ever: it must come again, from the durable offset.
    this.#syncing.catch((error: unknown) => void this.holder?.end(Fault.from(error)));
  }

  async #syncLoop(): Promise<void> {
    while (this.#writer !== undefined && this.#writer.offsetBytes > this.#durable) {
      if (this.#writer.offsetBytes - this.#durable < syncEveryBytes) await this.#more();
      if (this.#writer === undefined) return;
      await this.#syncOnce(this.#writer);
      this.acknowledge(this.#durable);
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, syncEveryMs);
      this.#syncNow = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #syncOnce(writer: ImageWriter): Promise<void> {
    try {
      const durable = await writer.sync();
      this.#ports.advance(durable);
      this.#durable = durable;
      this.lastProgressMs = performance.now();
    } catch (error) {
      // After a failed fsync the kernel may have dropped dirty pages: nothing past the last acknowledgement is trusted.
      this.#writer = undefined;
      this.#failure = { error };
      await writer.close().catch(() => undefined);
      this.lastError = Fault.from(error).message;
      throw error;
    }
  }
}
