/**
 * The zstd seekable format, version 0.1.0 (contrib/seekable_format/zstd_seekable_compression_format.md in the source of zstd): ordinary zstd
 * frames one after the other, then a skippable frame with the sizes of each. We always cut the plain bytes every `frameBytes` and leave the
 * table's own checksums out: each frame has zstd's.
 */
export const frameBytes = 1 << 20;

/** No frame can be larger: what zstd's ZSTD_compressBound gives for `frameBytes`. */
export const packedFrameLimit = frameBytes + (frameBytes >>> 8);

/** 16 TiB of memory. */
const maxFrames = 1 << 24;

const skippableMagic = 0x184d2a5e;
const seekableMagic = 0x8f92eab1;
const headerBytes = 8;
const entryBytes = 8;
export const footerBytes = 9;
/** No zstd frame with a checksum is shorter. */
const leastFrameBytes = 13;

/** Where each frame begins in the packed bytes, and where the last one ends: one more than there are frames. */
export interface SeekTable {
  readonly starts: Float64Array;
  readonly plainBytes: number;
}

/** How many bytes at the end the table takes, or what is wrong with the footer: the last `footerBytes` of the packed bytes. */
export function readFooter(footer: Buffer, packedBytes: number): { tableBytes: number } | { damage: string } {
  if (footer.readUInt32LE(5) !== seekableMagic) return { damage: 'it does not end in a seek table' };
  if (footer.readUInt8(4) !== 0)
    return { damage: `its seek table is of a kind (${footer.readUInt8(4)}) that is not written here` };
  const count = footer.readUInt32LE(0);
  const tableBytes = headerBytes + count * entryBytes + footerBytes;
  if (count > maxFrames || tableBytes + count * leastFrameBytes > packedBytes)
    return { damage: `its seek table tells of ${count} frames, which do not fit in it` };
  return { tableBytes };
}

/** Reads the whole table; the footer was read before. */
export function readTable(table: Buffer, packedBytes: number): SeekTable | { damage: string } {
  if (table.readUInt32LE(0) !== skippableMagic || table.readUInt32LE(4) !== table.length - headerBytes)
    return { damage: 'its seek table has no beginning' };
  const count = (table.length - headerBytes - footerBytes) / entryBytes;
  const starts = new Float64Array(count + 1);
  let start = 0;
  let plainBytes = 0;
  for (let frame = 0; frame < count; frame++) {
    const packed = table.readUInt32LE(headerBytes + frame * entryBytes);
    const plain = table.readUInt32LE(headerBytes + frame * entryBytes + 4);
    const last = frame === count - 1;
    const fits = last ? plain > 0 && plain <= frameBytes : plain === frameBytes;
    if (!fits || packed < leastFrameBytes || packed > packedFrameLimit)
      return { damage: `its seek table gives frame ${frame} the impossible sizes ${packed} and ${plain}` };
    start += packed;
    plainBytes += plain;
    starts[frame + 1] = start;
  }
  if (start + table.length !== packedBytes)
    return { damage: `its frames and its seek table come to ${start + table.length} bytes, it has ${packedBytes}` };
  return { starts, plainBytes };
}

/** The table for frames of these packed sizes; the last one holds what is left of the plain bytes. */
export function writeTable(packedSizes: readonly number[], plainBytes: number): Buffer {
  const count = packedSizes.length;
  const table = Buffer.alloc(headerBytes + count * entryBytes + footerBytes);
  table.writeUInt32LE(skippableMagic, 0);
  table.writeUInt32LE(table.length - headerBytes, 4);
  packedSizes.forEach((packed, frame) => {
    table.writeUInt32LE(packed, headerBytes + frame * entryBytes);
    const plain = Math.min(frameBytes, plainBytes - frame * frameBytes);
    table.writeUInt32LE(plain, headerBytes + frame * entryBytes + 4);
  });
  const footer = table.length - footerBytes;
  table.writeUInt32LE(count, footer);
  table.writeUInt32LE(seekableMagic, footer + 5);
  return table;
}
