import { readSync, writeSync } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Failed } from './timeouts.ts';

/**
 * Creates the file at `path` for the work to fill; it stays only when the work ends as `fetched`. A disk without room ends as `failed`. Throws
 * other errors of the file system (an existing `path` among them, which stays as it is), and what the work throws.
 */
export async function withDraft<T extends { readonly kind: string }>(
  path: string,
  work: (draft: FileHandle) => Promise<T>,
): Promise<T | Failed> {
  const draft = await open(path, 'wx+', 0o600);
  let keep = false;
  try {
    const end = await closing(draft, work);
    keep = end.kind === 'fetched';
    return end;
  } catch (error) {
    if (!hasNoRoom(error)) throw error;
    const reason = `cannot be kept: there is no room for it in ${dirname(path)} (${error.code})`;
    return { kind: 'failed', reason, transient: true };
  } finally {
    if (!keep) await rm(path, { force: true });
  }
}

/** Some file systems tell only at the end that there was no room. */
async function closing<T>(draft: FileHandle, work: (draft: FileHandle) => Promise<T>): Promise<T> {
  try {
    return await work(draft);
  } finally {
    await draft.close();
  }
}

/** Writes all of the bytes. Throws errors of the file system. */
export function writeAt(draft: FileHandle, offsetBytes: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(draft.fd, bytes, done, bytes.length - done, offsetBytes + done);
  }
}

/** Bytes of a file of `sizeBytes`, fewer at its end. Throws errors of the file system. */
export function readFrom(draft: FileHandle, sizeBytes: number, offsetBytes: number, lengthBytes: number): Buffer {
  const buffer = Buffer.alloc(Math.max(0, Math.min(lengthBytes, sizeBytes - offsetBytes)));
  let done = 0;
  while (done < buffer.length) {
    const count = readSync(draft.fd, buffer, done, buffer.length - done, offsetBytes + done);
    if (count === 0) break;
    done += count;
  }
  return buffer.subarray(0, done);
}

function hasNoRoom(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(String(error.code));
}
