import { open } from 'node:fs/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import { checkRange, type RangeSource } from './range-source.ts';

/**
 * Opens a local file for reading ranges. `what` are the words for it in errors: "the image of capture X"; `expectedBytes` is how long it should
 * be, if that is known: then what lacks is evidence_missing when it is read. Throws evidence_missing when it is not there, storage_failed when it
 * cannot be opened at the moment.
 */
export async function openFile(path: string, what: string, expectedBytes?: number): Promise<RangeSource> {
  const failed = (error: unknown): never => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new Fault('evidence_missing', `${what} is gone (${path}): restore it from a copy`, { cause: error });
    const message = `${what} cannot be read (${path}: ${code}): see to the collector's disk`;
    throw new Fault('storage_failed', message, { cause: error });
  };
  const file = await open(path, 'r').catch(failed);
  try {
    const status = await file.stat().catch(failed);
    if (!status.isFile()) throw new Fault('evidence_missing', `${what} is no file (${path}): restore it from a copy`);
    const sizeBytes = expectedBytes ?? status.size;
    return {
      sizeBytes,
      async read(offset, length, signal) {
        checkRange(offset, length, sizeBytes);
        signal?.throwIfAborted();
        const data = Buffer.allocUnsafe(length);
        for (let done = 0; done < length; ) {
          const { bytesRead } = await file.read(data, done, length - done, offset + done).catch(failed);
          if (bytesRead === 0) {
            const message = `${what} ends at byte ${offset + done}, ${offset + length} are asked for (${path}): restore it from a copy`;
            throw new Fault('evidence_missing', message);
          }
          done += bytesRead;
        }
        signal?.throwIfAborted();
        return data;
      },
      [Symbol.asyncDispose]: async () => await file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}
