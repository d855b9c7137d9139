import { open } from 'node:fs/promises';

/**
 * Bytes of each file that others write, or may have written, and that is read as a whole. What is larger than memory is read in pieces and has its
 * limits where it is read: images, their frames, symbol files.
 */
export const fileBounds = {
  /** A ConfigMap holds a megabyte; outside of a cluster it may be more. */
  schedules: 4 << 20,
  webhooks: 1 << 20,
  /** 67 bytes for each 16 MiB of an image, its containers, its chain of custody. Whoever writes the bucket can replace it. */
  manifest: 256 << 20,
  /** Beside the rows of an analysis, which a hostile image may have taken over. */
  analysisReport: 64 << 20,
} as const;

/** A file is larger than its kind may be. */
export class TooLarge extends Error {
  constructor(path: string, sizeBytes: number, mostBytes: number) {
    super(`${path} has ${sizeBytes} bytes: at most ${mostBytes} are taken`);
    this.name = 'TooLarge';
  }
}

/** A file as a whole. Throws TooLarge before any of it is read, and errors of the file system. */
export async function readBounded(path: string, kind: keyof typeof fileBounds): Promise<Buffer> {
  const mostBytes = fileBounds[kind];
  await using file = await open(path);
  const { size } = await file.stat();
  if (size > mostBytes) throw new TooLarge(path, size, mostBytes);
  // One byte more than there was: it may grow meanwhile, and past its bound nothing of it is held.
  const place = Buffer.allocUnsafe(Math.min(Math.max(size, 4_096), mostBytes) + 1);
  let filled = 0;
  while (filled < place.length) {
    const { bytesRead } = await file.read(place, filled, place.length - filled, filled);
    if (bytesRead === 0) return place.subarray(0, filled);
    filled += bytesRead;
  }
  throw new TooLarge(path, filled, mostBytes);
}
