import { constants } from 'node:fs';
import { chmod, copyFile, link, mkdir, open, readdir, rm, rmdir, stat, statfs, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { checkContents, checkStep } from './check-store.ts';
import { Crc32c } from './crc32c.ts';
import { openFile } from './file-source.ts';
import { checkObjectName, isObjectName } from './object-name.ts';
import type { RangeSource } from './range-source.ts';
import type { CheckedStep, EvidenceStore, FileToKeep, ObjectName, StoredObject } from './store.ts';

/**
 * Evidence on the local disk: ROOT/ID/FILE. An object is the local file itself under a further name where that is possible, so that it
 * takes no room twice; who put it must not write into it any more, and it becomes read-only.
 */
export class LocalStore implements EvidenceStore {
  readonly kind = 'local';
  readonly place: string;

  /** `root`: an absolute path; it is made when it is needed. */
  constructor(root: string) {
    this.place = root;
  }

  locationOf(name: ObjectName): string {
    return this.#pathOf(name);
  }

  async put(name: ObjectName, file: FileToKeep, signal: AbortSignal): Promise<StoredObject> {
    const path = this.#pathOf(name);
    return await translate(`${path} cannot be stored`, async () => {
      const content = await contentOf(file.path, signal);
      if (content.bytes !== file.bytes || content.crc32c !== file.crc32c)
        throw new Fault(
          'storage_failed',
          `${file.path} is not what it was when it was made (${content.bytes} bytes, CRC-32C ${content.crc32c}): look at the disk`,
        );
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      if (!(await linkOrCopy(file.path, path)) && !(await isOneFile(file.path, path))) {
        const there = await contentOf(path, signal);
        if (there.bytes !== file.bytes || there.crc32c !== file.crc32c)
          throw new Fault(
            'evidence_conflict',
            `${path} is there already with other bytes (${there.bytes}, CRC-32C ${there.crc32c}) than ${file.path} ` +
              `(${file.bytes}, CRC-32C ${file.crc32c}); neither is touched: find out who wrote it, and move it away if it is not evidence`,
          );
      }
      await syncDirectory(dirname(path));
      await syncDirectory(this.place);
      return { ...pick(name), location: path, ...content, generation: '' };
    });
  }

  async find(name: ObjectName): Promise<StoredObject | undefined> {
    const path = this.#pathOf(name);
    return await translate(`${path} cannot be read`, async () => {
      const content = await ifThere(contentOf(path));
      return content && { ...pick(name), location: path, ...content, generation: '' };
    });
  }

  async open(object: StoredObject): Promise<RangeSource> {
    const path = this.#pathOf(object);
    const source = await openFile(path, 'a stored object');
    if (source.sizeBytes === object.bytes) return source;
    await source[Symbol.asyncDispose]();
    throw new Fault(
      'evidence_missing',
      `${path} is not what was stored: ${source.sizeBytes} of ${object.bytes} bytes are there; restore it from a copy`,
    );
  }

  async delete(name: ObjectName): Promise<void> {
    const path = this.#pathOf(name);
    await translate(`${path} cannot be deleted`, async () => {
      if ((await ifThere(unlink(path).then(() => true))) === undefined) return;
      await syncDirectory(dirname(path));
      // Other files of the capture keep it.
      await rmdir(dirname(path)).catch(() => undefined);
    });
  }

  async *list(): AsyncIterable<ObjectName> {
    const entries = async (path: string) =>
      await translate(
        `${path} cannot be listed`,
        async () => (await ifThere(readdir(path, { withFileTypes: true }))) ?? [],
      );
    for (const folder of await entries(this.place)) {
      if (!folder.isDirectory()) continue;
      for (const entry of await entries(join(this.place, folder.name))) {
        const name = { captureId: folder.name, file: entry.name };
        if (entry.isFile() && isObjectName(name)) yield name;
      }
    }
  }

  async *check(signal: AbortSignal): AsyncIterable<CheckedStep> {
    const rehearsed = new LocalStore(join(this.place, '.store-check'));
    const directory = await checkStep('directory', async () => {
      return await translate(`${this.place} cannot be used`, async () => {
        await mkdir(rehearsed.place, { recursive: true, mode: 0o700 });
        const { bavail, bsize } = await statfs(this.place);
        return `${this.place} has ${bavail * bsize} bytes free`;
      });
    });
    yield directory;
    if (directory.state === 'failed') return;
    try {
      yield* checkContents(rehearsed, this.place, signal, async function* () {});
    } finally {
      await rm(rehearsed.place, { recursive: true, force: true }).catch(() => undefined);
    }
  }

  #pathOf(name: ObjectName): string {
    checkObjectName(name);
    return join(this.place, name.captureId, name.file);
  }
}

const pick = ({ captureId, file }: ObjectName): ObjectName => ({ captureId, file });

/** Gives a file a further name, or copies it where it cannot have one. False when there is something of that name. */
async function linkOrCopy(from: string, to: string): Promise<boolean> {
  const direct = await linkNew(from, to);
  if (direct !== 'impossible') return direct === 'made';
  const draft = `${to}.part`;
  await rm(draft, { force: true });
  try {
    await copyFile(from, draft, constants.COPYFILE_FICLONE);
    return (await linkNew(draft, to)) === 'made';
  } finally {
    await rm(draft, { force: true });
  }
}

async function linkNew(from: string, to: string): Promise<'made' | 'exists' | 'impossible'> {
  try {
    await chmod(from, 0o400);
    await using handle = await open(from, 'r');
    await handle.sync();
    await link(from, to);
    return 'made';
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return 'exists';
    if (code === 'EXDEV' || code === 'EPERM' || code === 'EMLINK' || code === 'ENOTSUP') return 'impossible';
    throw error;
  }
}

async function contentOf(path: string, signal?: AbortSignal): Promise<{ bytes: number; crc32c: string }> {
  await using handle = await open(path, 'r');
  const crc = new Crc32c();
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (let bytes = 0; ; ) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, bytes);
    if (bytesRead === 0) return { bytes, crc32c: crc.digest() };
    crc.update(buffer.subarray(0, bytesRead));
    bytes += bytesRead;
  }
}

async function isOneFile(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([stat(a), stat(b)]);
  return one.ino === other.ino && one.dev === other.dev;
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException).code);

async function ifThere<T>(attempt: Promise<T>): Promise<T | undefined> {
  return await attempt.catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
}

/** Runs what works on files; an error of the system becomes a fault that begins with `failure`. */
async function translate<T>(failure: string, attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    const { syscall, code } = error as NodeJS.ErrnoException;
    if (typeof syscall !== 'string') throw error;
    const isRight = code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
    throw new Fault(
      isRight ? 'store_refused' : 'storage_failed',
      `${failure} (${code}): ${isRight ? 'let the collector write there' : 'look at the disk; it is tried again later'}`,
      { cause: error },
    );
  }
}
