import { type FileHandle, open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { isElf, type RandomAccess, readBuildId } from '../elf-build-id.ts';
import { type IsfState, inspectIsf, isIsfName } from '../isf-file.ts';
import { SingleFlight } from '../single-flight.ts';

/** What a file in a directory of symbols is. */
export type SymbolFile =
  | IsfState
  | { readonly kind: 'elf'; readonly buildId: string | undefined }
  /** Nothing to do with symbols. */
  | { readonly kind: 'other' };

/** A file and a text that changes with it. */
interface Known {
  readonly stamp: string;
  readonly file: SymbolFile;
}

const maxKnown = 10_000;

/** What files are, remembered until their size, time or inode changes. */
export class KnownFiles {
  readonly #known = new Map<string, Known>();
  readonly #reads = new SingleFlight<SymbolFile>(1);

  /** What the file at `path` is now, and a text that changes with it. Files that cannot be read are `unusable`. Throws only the signal's reason. */
  async inspect(path: string, signal: AbortSignal): Promise<Known> {
    signal.throwIfAborted();
    try {
      const { size, mtimeMs, ctimeMs, ino, isFile } = await describe(path);
      if (!isFile) return { stamp: '', file: { kind: 'other' } };
      const stamp = `${size} ${mtimeMs} ${ctimeMs} ${ino}`;
      const known = this.#known.get(path);
      if (known?.stamp === stamp) return known;
      const file = await this.#reads.run(`${path} ${stamp}`, (shared) => read(path, shared), signal);
      if (this.#known.size >= maxKnown) this.#known.clear();
      this.#known.set(path, { stamp, file });
      return { stamp, file };
    } catch (error) {
      signal.throwIfAborted();
      this.#known.delete(path);
      const reason = error instanceof Error ? error.message : String(error);
      return { stamp: '', file: { kind: 'unusable', problem: `cannot be read (${reason})` } };
    }
  }
}

async function describe(path: string) {
  const found = await stat(path);
  const { size, mtimeMs, ctimeMs, ino } = found;
  return { size, mtimeMs, ctimeMs, ino, isFile: found.isFile() };
}

async function read(path: string, signal: AbortSignal): Promise<SymbolFile> {
  if (isIsfName(basename(path))) return inspectIsf(path, signal);
  const handle = await open(path);
  try {
    const file = await randomAccess(handle);
    if (!isElf(await file.read(0, 64))) return { kind: 'other' };
    return { kind: 'elf', buildId: await readBuildId(file) };
  } finally {
    await handle.close();
  }
}

async function randomAccess(handle: FileHandle): Promise<RandomAccess> {
  const { size } = await handle.stat();
  return {
    sizeBytes: size,
    async read(offsetBytes, lengthBytes) {
      const buffer = Buffer.alloc(lengthBytes);
      let filled = 0;
      while (filled < lengthBytes) {
        const { bytesRead } = await handle.read(buffer, filled, lengthBytes - filled, offsetBytes + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return buffer.subarray(0, filled);
    },
  };
}
