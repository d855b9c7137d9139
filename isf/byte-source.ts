import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Bytes that can be read anywhere. */
export interface ByteSource {
  readonly sizeBytes: number;
  /** The bytes from an offset on, fewer at the end; a buffer of its own or a view that the caller must not change. */
  read(offsetBytes: number, lengthBytes: number): Buffer;
  /** As `read`, into a buffer of the caller's, for much that is read once; returns how many bytes it put there. */
  readInto?(target: Buffer, offsetBytes: number): number;
}

/** A file as bytes; close it. Throws errors of the file system. */
export function openFile(path: string): ByteSource & Disposable {
  const fd = openSync(path, 'r');
  const { size } = fstatSync(fd);
  const readInto = (target: Buffer, offsetBytes: number) => {
    const length = Math.max(0, Math.min(target.length, size - offsetBytes));
    let filled = 0;
    while (filled < length) {
      const count = readSync(fd, target, filled, length - filled, offsetBytes + filled);
      if (count === 0) break;
      filled += count;
    }
    return filled;
  };
  return {
    sizeBytes: size,
    read(offsetBytes, lengthBytes) {
      const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(lengthBytes, size - offsetBytes)));
      return buffer.subarray(0, readInto(buffer, offsetBytes));
    },
    readInto,
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/** Bytes in memory. */
export function inMemory(bytes: Buffer): ByteSource {
  return { sizeBytes: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}
