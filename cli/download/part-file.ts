import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, type FileHandle, link, open, rename, unlink } from 'node:fs/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import { fileProblem } from '../connect/connection.ts';

/** A download on its way: the bytes so far in FILE.part, with their running digest. */
export interface PartFile extends AsyncDisposable {
  readonly path: string;
  /** Bytes that it holds. */
  readonly sizeBytes: bigint;
  append(data: Uint8Array): Promise<void>;
  /** Lower-case hex SHA-256 of all its bytes. */
  sha256(): string;
  /** Flushes it and gives it its final name, unless that is taken. */
  finish(path: string): Promise<void>;
  /** Puts it out of the way of the next attempt; returns its new name. */
  reject(): Promise<string>;
}

/** Memory holds secrets: nobody but the owner reads what is made here. */
export const privateMode = 0o600;

const readSizeBytes = 1 << 20;

/** Opens FILE.part, old or new, and reads what is there once for its digest. */
export async function openPartFile(path: string): Promise<PartFile> {
  const file = await told(path, () => openPrivately(path));
  const hash = createHash('sha256');
  let sizeBytes = await told(path, () => digestOf(file, hash));
  return {
    path,
    get sizeBytes() {
      return BigInt(sizeBytes);
    },
    append: (data) =>
      told(path, async () => {
        for (let at = 0; at < data.length; ) {
          const { bytesWritten } = await file.write(data, at, data.length - at, sizeBytes + at);
          at += bytesWritten;
        }
        hash.update(data);
        sizeBytes += data.length;
      }),
    sha256: () => hash.copy().digest('hex'),
    finish: (finalPath) =>
      told(finalPath, async () => {
        await file.sync();
        await moveWithoutReplacing(path, finalPath);
      }),
    reject: async () => {
      const aside = `${path.replace(/\.part$/, '')}.rejected`;
      await told(aside, () => rename(path, aside));
      return aside;
    },
    [Symbol.asyncDispose]: async () => {
      await file.close();
      // Without a byte there is nothing to go on from.
      if (sizeBytes === 0) await unlink(path).catch(() => undefined);
    },
  };
}

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;

/** Makes the file, or opens the caller's own: whoever else has it under another name or as its owner would read what is written, or lose what is there. */
async function openPrivately(path: string): Promise<FileHandle> {
  try {
    return await open(path, O_RDWR | O_CREAT | O_EXCL, privateMode);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  // O_NONBLOCK: a FIFO would wait for somebody at its other end.
  const file = await open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  try {
    const found = await file.stat();
    // Windows has no user ids, and its modes say nothing. Whoever could read it before may still have it open.
    const isOwn = process.geteuid === undefined || (found.uid === process.geteuid() && (found.mode & 0o077) === 0);
    if (!found.isFile() || !isOwn || found.nlink !== 1)
      throw new Fault(
        'storage_failed',
        `${path} is there already and is not a file of yours alone: find out who made it, and move it away or choose another name with -f.`,
      );
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Runs file work; what goes wrong there is a fault that names the file. */
export async function told<T>(path: string, work: () => Promise<T>, option = '-f'): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw unwritten(path, error, option);
  }
}

/** What went wrong when a file was written, as a fault that names the file. */
export function unwritten(path: string, error: unknown, option = '-f'): Fault {
  if (error instanceof Fault) return error;
  const message = `cannot write ${path}: ${fileProblem(error)}. Choose another place with ${option}.`;
  return new Fault('storage_failed', message, { cause: error });
}

/** Whether something has this name. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** The refusal to write over a file. */
export function taken(path: string, option = '-f'): Fault {
  return new Fault(
    'storage_failed',
    `${path} is there already and is not overwritten. Choose another name with ${option}, or move it away.`,
  );
}

async function digestOf(file: FileHandle, hash: Hash): Promise<number> {
  const buffer = Buffer.allocUnsafe(readSizeBytes);
  let sizeBytes = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, sizeBytes);
    if (bytesRead === 0) return sizeBytes;
    hash.update(buffer.subarray(0, bytesRead));
    sizeBytes += bytesRead;
  }
}

/** Gives a file another name. A link fails when the name is taken, whoever took it meanwhile; a rename would replace it. */
export async function moveWithoutReplacing(from: string, to: string, option = '-f'): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'EEXIST' || (await exists(to))) throw taken(to, option);
    // A file system without hard links.
    await rename(from, to);
    return;
  }
  await unlink(from);
}
