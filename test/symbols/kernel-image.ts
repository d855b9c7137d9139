import { execFileSync } from 'node:child_process';
import { gunzipSync } from 'node:zlib';
import { inMemory } from '../../isf/byte-source.ts';
import { findSection, readSections } from '../../isf/elf/elf-file.ts';
import { sectionBytes } from '../../isf/elf/section-bytes.ts';

const magics: readonly (readonly [hex: string, unpack: (bytes: Buffer) => Buffer])[] = [
  ['7f454c46', (bytes) => bytes],
  ['1f8b', (bytes) => gunzipSync(bytes)],
  ['fd377a58', (bytes) => unpackWith('xz', bytes)],
  ['28b52ffd', (bytes) => unpackWith('zstd', bytes)],
  ['02214c18', (bytes) => unpackWith('lz4', bytes)],
];

/** BTF of the kernel in a bzImage (Documentation/arch/x86/boot.rst). Throws for another kind of file. */
export function btfOfImage(image: Buffer): Buffer {
  if (image.toString('latin1', 0x202, 0x206) !== 'HdrS') throw new Error('this is no bzImage');
  const payloadAt = (image.readUInt8(0x1f1) + 1) * 512 + image.readUInt32LE(0x248);
  const payload = image.subarray(payloadAt, payloadAt + image.readUInt32LE(0x24c));
  const unpack = magics.find(([hex]) => payload.toString('hex', 0, hex.length / 2) === hex)?.[1];
  if (unpack === undefined) throw new Error(`a payload that begins with ${payload.toString('hex', 0, 8)}`);
  const kernel = inMemory(unpack(payload));
  const section = findSection(readSections(kernel), '.BTF');
  if (section === undefined) throw new Error('the kernel has no .BTF');
  return sectionBytes(kernel, section).read(0, section.sizeBytes);
}

/** The four bytes of size behind the payload are left out: the tools refuse what they do not know. */
function unpackWith(program: string, payload: Buffer): Buffer {
  return execFileSync(program, ['-dc'], {
    input: payload.subarray(0, -4),
    maxBuffer: 1 << 30,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}
