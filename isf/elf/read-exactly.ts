import { BadInput } from '../bad-input.ts';
import type { ByteSource } from '../byte-source.ts';

/** All bytes of a part of the file, or BadInput if it goes beyond the end: checked before anything is allocated. */
export function readExactly(source: ByteSource, offsetBytes: number, lengthBytes: number, place: string): Buffer {
  if (!(offsetBytes >= 0 && lengthBytes >= 0 && offsetBytes + lengthBytes <= source.sizeBytes)) {
    throw new BadInput(
      place,
      `${lengthBytes} bytes at 0x${offsetBytes.toString(16)} go beyond the end, which is at 0x${source.sizeBytes.toString(16)}`,
    );
  }
  const bytes = source.read(offsetBytes, lengthBytes);
  if (bytes.length < lengthBytes)
    throw new BadInput(place, `the file ends at 0x${(offsetBytes + bytes.length).toString(16)}`);
  return bytes;
}
