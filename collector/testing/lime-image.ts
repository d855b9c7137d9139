import { createCipheriv } from 'node:crypto';

const headerBytes = 32;

/** Pseudo-random bytes, the same for the same seed. */
export function noise(seed: number, bytes: number): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed >>> 0);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

/** A whole LiME image as AVML writes it: a record for each size in bytes, one after the other in memory, filled with noise. */
export function limeImage(seed: number, recordBytes: readonly number[]): Buffer {
  let start = 0x1000n;
  const parts = recordBytes.map((bytes, index) => {
    const header = Buffer.alloc(headerBytes);
    header.writeUInt32LE(0x4c694d45, 0);
    header.writeUInt32LE(1, 4);
    header.writeBigUInt64LE(start, 8);
    header.writeBigUInt64LE(start + BigInt(bytes) - 1n, 16);
    start += BigInt(bytes);
    return Buffer.concat([header, noise(seed + index, bytes)]);
  });
  return Buffer.concat(parts);
}
