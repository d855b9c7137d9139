import { Fault } from '@kcorder/proto/fault.ts';
import { checkRange, type RangeSource } from '../range-source.ts';
import { FrameCache } from './frame-cache.ts';
import { footerBytes, frameBytes, readFooter, readTable, type SeekTable } from './seek-table.ts';

/** Read at once from the end: the whole table of an image of 8 GiB. */
const tailBytes = 64 << 10;

/** Frames of 1 MiB that are kept for reads that go back: 32 MiB. */
const usualFrames = 32;

/**
 * Opens a packed image for reading ranges of its plain bytes. `name` is where it is, for errors. `keptFrames` frames of 1 MiB are kept: 1 is
 * enough for who reads from front to back. Owns `packed`, which is disposed with it, also when it cannot be opened. Throws evidence_damaged for
 * what is no image in frames, and what `packed` throws.
 */
export async function openFrames(packed: RangeSource, name: string, keptFrames = usualFrames): Promise<RangeSource> {
  try {
    const table = await readSeekTable(packed, name);
    return new FramedImage(packed, table.plainBytes, new FrameCache(packed, name, table, keptFrames));
  } catch (error) {
    await packed[Symbol.asyncDispose]();
    throw error;
  }
}

async function readSeekTable(packed: RangeSource, name: string): Promise<SeekTable> {
  const damaged = (damage: string): Fault => {
    const message = `the packed image ${name} (${packed.sizeBytes} bytes) cannot be read: ${damage}. Restore it from a copy`;
    return new Fault('evidence_damaged', message);
  };
  const { sizeBytes } = packed;
  const tail = await packed.read(Math.max(0, sizeBytes - tailBytes), Math.min(tailBytes, sizeBytes));
  if (tail.length < footerBytes) throw damaged('it is too short for a seek table');
  const footer = readFooter(tail.subarray(-footerBytes), sizeBytes);
  if ('damage' in footer) throw damaged(footer.damage);
  const { tableBytes } = footer;
  const missingBytes = Math.max(0, tableBytes - tail.length);
  const missing = missingBytes > 0 ? [await packed.read(sizeBytes - tableBytes, missingBytes)] : [];
  const table = readTable(Buffer.concat([...missing, tail.subarray(-tableBytes)]), sizeBytes);
  if ('damage' in table) throw damaged(table.damage);
  return table;
}

/** Frames that are asked for at once: bounds what a long read holds beside its own bytes. */
const stride = 8;

class FramedImage implements RangeSource {
  readonly sizeBytes: number;
  readonly #packed: RangeSource;
  readonly #cache: FrameCache;

  constructor(packed: RangeSource, sizeBytes: number, cache: FrameCache) {
    this.sizeBytes = sizeBytes;
    this.#packed = packed;
    this.#cache = cache;
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Buffer> {
    checkRange(offset, length, this.sizeBytes);
    const end = offset + length;
    const isFrame = offset % frameBytes === 0 && length === Math.min(frameBytes, this.sizeBytes - offset);
    // Not copied, as who reads a whole image would pay for each byte twice.
    if (isFrame && length > 0)
      return (await this.#cache.get(offset / frameBytes, offset / frameBytes, signal))[0] as Buffer;
    const data = Buffer.allocUnsafe(length);
    for (let from = offset; from < end; ) {
      const first = Math.floor(from / frameBytes);
      const last = Math.min(first + stride - 1, Math.floor((end - 1) / frameBytes));
      const frames = await this.#cache.get(first, last, signal);
      frames.forEach((frame, index) => {
        const start = (first + index) * frameBytes;
        frame.copy(data, Math.max(0, start - offset), Math.max(0, from - start), Math.min(frame.length, end - start));
      });
      from = (last + 1) * frameBytes;
    }
    return data;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cache.close();
    await this.#packed[Symbol.asyncDispose]();
  }
}
