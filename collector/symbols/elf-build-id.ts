/** Bytes that can be read anywhere. */
export interface RandomAccess {
  readonly sizeBytes: number;
  /** The bytes from an offset on, fewer at the end. */
  read(offsetBytes: number, lengthBytes: number): Promise<Buffer>;
}

const headerBytes = 64;
const maxHeaders = 4096;
const maxHeaderBytes = 256;
const maxNoteBytes = 1 << 20;
const sectionTypeNote = 7;
const segmentTypeNote = 4;
const noteTypeBuildId = 3;

/** Whether a file that begins like this is a little-endian 64-bit ELF file. */
export function isElf(head: Buffer): boolean {
  return head.length >= 6 && head.readUInt32BE(0) === 0x7f454c46 && head[4] === 2 && head[5] === 1;
}

/**
 * GNU build-id of an ELF file as lower-case hex; undefined when it is no little-endian 64-bit ELF or has none. Reads headers and notes only,
 * at most 4,096 headers and 1 MiB of notes a table. Sections go first: files with debugging information only keep broken program headers.
 */
export async function readBuildId(file: RandomAccess): Promise<string | undefined> {
  const header = await readAt(file, 0n, headerBytes);
  if (header.length < headerBytes || !isElf(header)) return undefined;
  const segments = {
    offset: header.readBigUInt64LE(32),
    size: header.readUInt16LE(54),
    count: header.readUInt16LE(56),
  };
  const sections = {
    offset: header.readBigUInt64LE(40),
    size: header.readUInt16LE(58),
    count: header.readUInt16LE(60),
  };
  return (
    (await searchTable(file, sections, 64, (entry) => ({
      note: entry.readUInt32LE(4) === sectionTypeNote,
      offset: entry.readBigUInt64LE(24),
      size: entry.readBigUInt64LE(32),
    }))) ??
    (await searchTable(file, segments, 56, (entry) => ({
      note: entry.readUInt32LE(0) === segmentTypeNote,
      offset: entry.readBigUInt64LE(8),
      size: entry.readBigUInt64LE(32),
    })))
  );
}

interface Table {
  readonly offset: bigint;
  readonly size: number;
  readonly count: number;
}

interface Part {
  readonly note: boolean;
  readonly offset: bigint;
  readonly size: bigint;
}

async function searchTable(
  file: RandomAccess,
  table: Table,
  leastBytes: number,
  read: (entry: Buffer) => Part,
): Promise<string | undefined> {
  if (table.offset === 0n || table.size < leastBytes || table.size > maxHeaderBytes) return undefined;
  const bytes = await readAt(file, table.offset, table.size * Math.min(table.count, maxHeaders));
  let budgetBytes = maxNoteBytes;
  for (let at = 0; at + table.size <= bytes.length; at += table.size) {
    const part = read(bytes.subarray(at, at + table.size));
    if (!part.note || part.size > BigInt(budgetBytes)) continue;
    budgetBytes -= Number(part.size);
    const found = findBuildId(await readAt(file, part.offset, Number(part.size)));
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * The build-id among ELF notes, names and values padded to four bytes; undefined when there is none. Zeros where a note
 * should begin are skipped: a linker fills them in before a note of larger alignment (.note.gnu.property).
 */
export function findBuildId(notes: Buffer): string | undefined {
  let at = 0;
  while (at + 12 <= notes.length) {
    const nameBytes = notes.readUInt32LE(at);
    if (nameBytes === 0) {
      at += 4;
      continue;
    }
    const valueBytes = notes.readUInt32LE(at + 4);
    const type = notes.readUInt32LE(at + 8);
    const value = at + 12 + align(nameBytes);
    if (value + valueBytes > notes.length) return undefined;
    const gnu = nameBytes === 4 && notes.toString('latin1', at + 12, at + 16) === 'GNU\0';
    if (gnu && type === noteTypeBuildId && valueBytes >= 4 && valueBytes <= 64) {
      return notes.toString('hex', value, value + valueBytes);
    }
    at = value + align(valueBytes);
  }
  return undefined;
}

function align(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

/** Up to `bytes` bytes; fewer at the end of the file, none behind it. */
async function readAt(file: RandomAccess, offset: bigint, bytes: number): Promise<Buffer> {
  if (offset >= BigInt(file.sizeBytes)) return Buffer.alloc(0);
  return file.read(Number(offset), Math.min(bytes, file.sizeBytes - Number(offset)));
}
