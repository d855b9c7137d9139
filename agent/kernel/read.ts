import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import type { ReadAt } from './vmcoreinfo.ts';

/** A small file as text; undefined when it cannot be read for any reason. */
export function readText(path: string): string | undefined {
  return readBytes(path)?.toString('utf8');
}

/** A small file as bytes; undefined when it cannot be read for any reason. */
export function readBytes(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

/** Lets `use` read at any position of a file; undefined when it cannot be opened or read. */
export function withFile<T>(path: string, use: (readAt: ReadAt) => T): T | undefined {
  let fd: number | undefined;
  try {
    const opened = openSync(path, 'r');
    fd = opened;
    return use((position, length) => {
      const buffer = Buffer.alloc(length);
      let filled = 0;
      while (filled < length) {
        const count = readSync(opened, buffer, filled, length - filled, position + BigInt(filled));
        if (count === 0) break;
        filled += count;
      }
      return buffer.subarray(0, filled);
    });
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
