import { BadInput } from '../bad-input.ts';
import type { ByteSource } from '../byte-source.ts';

/** Memory for one part of a source after the other: a new buffer for each would be hundreds of megabytes before they are collected. */
export class ReusedBuffer {
  #buffer: Buffer = Buffer.alloc(0);

  /** The bytes; good until the next call. Throws BadInput where the source ends earlier. */
  read(source: ByteSource, offsetBytes: number, lengthBytes: number): Buffer {
    if (!source.readInto) return complete(source.read(offsetBytes, lengthBytes), lengthBytes, offsetBytes);
    if (this.#buffer.length < lengthBytes) this.#buffer = Buffer.allocUnsafeSlow(lengthBytes + (lengthBytes >> 2));
    const target = this.#buffer.subarray(0, lengthBytes);
    return complete(target.subarray(0, source.readInto(target, offsetBytes)), lengthBytes, offsetBytes);
  }

  get sizeBytes(): number {
    return this.#buffer.length;
  }
}

function complete(bytes: Buffer, lengthBytes: number, offsetBytes: number): Buffer {
  if (bytes.length < lengthBytes) {
    throw new BadInput('.debug_info', `the file ends at 0x${(offsetBytes + bytes.length).toString(16)} of the section`);
  }
  return bytes;
}
