/** One note of an ELF note section or segment. */
export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly descriptor: Buffer;
}

const headerBytes = 12;
const alignBytes = 4;
const align = (bytes: number): number => (bytes + alignBytes - 1) & -alignBytes;

/**
 * The notes of a little-endian ELF note section, aligned to 4 bytes as the kernel writes them (elf(5), Nhdr). A linker
 * fills the gap before a note of larger alignment (.note.gnu.property: 8 bytes) with zeros: these are skipped, as every
 * note has a name. Stops quietly at the first note that does not fit: a truncated section gives what was whole.
 */
export function* elfNotes(section: Buffer): Generator<ElfNote> {
  let offset = 0;
  while (offset + headerBytes <= section.length) {
    const nameBytes = section.readUInt32LE(offset);
    if (nameBytes === 0) {
      offset += alignBytes;
      continue;
    }
    const descriptorBytes = section.readUInt32LE(offset + 4);
    const type = section.readUInt32LE(offset + 8);
    if (nameBytes > section.length || descriptorBytes > section.length) return;
    const nameAt = offset + headerBytes;
    const descriptorAt = nameAt + align(nameBytes);
    if (descriptorAt + descriptorBytes > section.length) return;
    const name = section.toString('latin1', nameAt, nameAt + nameBytes).replace(/\0+$/, '');
    yield { name, type, descriptor: section.subarray(descriptorAt, descriptorAt + descriptorBytes) };
    offset = descriptorAt + align(descriptorBytes);
  }
}
