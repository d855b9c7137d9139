import { randomFillSync } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A LiME image that lies in memory, so that whoever reads it is never the one that waits. */
export interface RecordedImage {
  readonly path: string;
  readonly bytes: number;
  /** The text of /proc/iomem of the machine that it would come from. */
  readonly iomem: string;
  remove(): void;
}

const recordBytes = 16 << 20;
const pageBytes = 4096;
const firstAddress = 0x1_0000_0000n;

/** Records an image of whole 16 MiB records as AVML writes them; every other page is zeros, the rest cannot be compressed. */
export function recordImage(mebibytes: number): RecordedImage {
  const dir = mkdtempSync(join('/dev/shm', 'kcorder-bench-'));
  const remove = removal(dir);
  const path = join(dir, 'image.lime');
  const records = Math.ceil(mebibytes / 16);
  const data = randomFillSync(Buffer.alloc(recordBytes));
  for (let page = 0; page < recordBytes; page += 2 * pageBytes) data.fill(0, page, page + pageBytes);
  const file = openSync(path, 'w', 0o600);
  try {
    for (let index = 0; index < records; index += 1) {
      const start = firstAddress + BigInt(index * recordBytes);
      const header = Buffer.alloc(32);
      header.writeUInt32LE(0x4c694d45, 0);
      header.writeUInt32LE(1, 4);
      header.writeBigUInt64LE(start, 8);
      header.writeBigUInt64LE(start + BigInt(recordBytes) - 1n, 16);
      // No two records are alike.
      header.copy(data, pageBytes);
      writeSync(file, header);
      writeSync(file, data);
    }
  } finally {
    closeSync(file);
  }
  const last = firstAddress + BigInt(records * recordBytes) - 1n;
  return {
    path,
    bytes: records * (recordBytes + 32),
    iomem: `${firstAddress.toString(16)}-${last.toString(16)} : System RAM\n`,
    remove,
  };
}

/** A folder on the disk for one bench, removed at its end. */
export function scratchDir(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'kcorder-bench-'));
  return { path, remove: removal(path) };
}

/** Removes a folder when called, and when this process ends before that. */
function removal(dir: string): () => void {
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  process.once('exit', remove);
  return () => {
    process.off('exit', remove);
    remove();
  };
}
