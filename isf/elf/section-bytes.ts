import { inflateSync, zstdDecompressSync } from 'node:zlib';
import { BadInput } from '../bad-input.ts';
import { type ByteSource, inMemory } from '../byte-source.ts';
import { type ElfSection, sectionFlag } from './elf-file.ts';
import { readExactly } from './read-exactly.ts';

const compressionHeaderBytes = 24;
/** A compressed section is held in memory as a whole; .debug_info of a distribution's kernel has 160 to 300 MB. */
const maxInflatedBytes = 320 << 20;
/** Debug sections shrink to a third or an eighth; DEFLATE at its very best reaches 1:1032, zstd has no bound. */
const maxRatio = 64;
const alwaysAllowedBytes = 1 << 16;

/**
 * The contents of a section: a window onto the file, or, if it is compressed (SHF_COMPRESSED of gABI with zlib or zstd, or
 * the older GNU .zdebug_), inflated in memory, up to a limit. Throws BadInput.
 */
export function sectionBytes(elf: ByteSource, section: ElfSection, limitBytes = maxInflatedBytes): ByteSource {
  const { name, offsetBytes, sizeBytes } = section;
  if (offsetBytes + sizeBytes > elf.sizeBytes) {
    throw new BadInput(name, `the section ends at 0x${(offsetBytes + sizeBytes).toString(16)}, beyond the file's end`);
  }
  if (section.flags & sectionFlag.compressed) {
    const bytes = readExactly(elf, offsetBytes, sizeBytes, name);
    if (sizeBytes < compressionHeaderBytes) throw new BadInput(name, 'the compression header is cut');
    const method = bytes.readUInt32LE(0);
    if (method !== 1 && method !== 2)
      throw new BadInput(name, `compression method ${method} is unknown`, 'unsupported');
    return inflate(name, bytes.subarray(compressionHeaderBytes), bytes.readBigUInt64LE(8), method === 1, limitBytes);
  }
  if (name.startsWith('.zdebug_')) {
    const bytes = readExactly(elf, offsetBytes, sizeBytes, name);
    if (sizeBytes < 12 || bytes.toString('latin1', 0, 4) !== 'ZLIB')
      throw new BadInput(name, 'the ZLIB header is missing');
    return inflate(name, bytes.subarray(12), bytes.readBigUInt64BE(4), true, limitBytes);
  }
  const within = (at: number, length: number) => Math.max(0, Math.min(length, sizeBytes - at));
  return {
    sizeBytes,
    read: (at, length) => elf.read(offsetBytes + at, within(at, length)),
    readInto: (target, at) => {
      const wanted = target.subarray(0, within(at, target.length));
      if (elf.readInto) return elf.readInto(wanted, offsetBytes + at);
      return elf.read(offsetBytes + at, wanted.length).copy(wanted);
    },
  };
}

function inflate(
  name: string,
  compressed: Buffer,
  declaredBytes: bigint,
  zlib: boolean,
  limitBytes: number,
): ByteSource {
  const sizeBytes = Number(declaredBytes);
  if (sizeBytes > limitBytes) {
    const problem = `${sizeBytes} bytes once inflated are too many: use objcopy --decompress-debug-sections`;
    throw new BadInput(name, problem, 'unsupported');
  }
  if (sizeBytes > alwaysAllowedBytes + compressed.length * maxRatio) {
    throw new BadInput(name, `${compressed.length} compressed bytes claim to hold ${sizeBytes}`);
  }
  // one chunk as large as the result: with the usual chunks the result would be in memory twice
  const options = { maxOutputLength: Math.max(1, sizeBytes), chunkSize: Math.max(64, sizeBytes + 1) };
  let bytes: Buffer;
  try {
    bytes = zlib ? inflateSync(compressed, options) : zstdDecompressSync(compressed, options);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BadInput(name, `cannot be decompressed to ${sizeBytes} bytes (${reason})`);
  }
  if (bytes.length !== sizeBytes) throw new BadInput(name, `holds ${bytes.length} bytes instead of ${sizeBytes}`);
  return inMemory(bytes);
}
