import { BadInput } from '../bad-input.ts';
import type { ByteSource } from '../byte-source.ts';
import { readExactly } from './read-exactly.ts';

/** A section header, as far as it is used. Nothing in it is checked against the file until its bytes are read. */
export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly address: bigint;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** Index of the section that belongs to this one: of a symbol table, its strings. */
  readonly link: number;
}

export const sectionType = { symbolTable: 2, note: 7, noBits: 8 } as const;
export const sectionFlag = { allocated: 0x2, compressed: 0x800 } as const;

const headerBytes = 64;
const sectionHeaderBytes = 64;
/** vmlinux has about a hundred. */
const maxSections = 1 << 17;
const maxNameTableBytes = 16 << 20;
const maxNameBytes = 100;

/** A 64-bit number as a JavaScript one: what is above 2^53 is rounded, and so is beyond the end of every file. */
function wide(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}

/**
 * The section headers of a linked, 64-bit, little-endian ELF file (System V gABI, chapters 4 and 5), in their order.
 * Reads the file header, the section headers and the section names, nothing else. Throws BadInput.
 */
export function readSections(elf: ByteSource): readonly ElfSection[] {
  const header = elf.read(0, headerBytes);
  checkHeader(header);
  const tableAt = wide(header, 40);
  if (tableAt === 0) throw new BadInput('ELF header', 'there are no section headers: the file was stripped of them');
  if (header.readUInt16LE(58) !== sectionHeaderBytes) {
    throw new BadInput('ELF header at 0x3a', `section headers of ${header.readUInt16LE(58)} bytes instead of 64`);
  }
  // numbers that do not fit into the header are in the first section header (gABI, "Extended section numbering")
  const first = readExactly(elf, tableAt, sectionHeaderBytes, 'section headers');
  const count = header.readUInt16LE(60) || wide(first, 32);
  const namesIndex = header.readUInt16LE(62) === 0xffff ? first.readUInt32LE(40) : header.readUInt16LE(62);
  if (count > maxSections)
    throw new BadInput('ELF header', `${count} sections are more than the ${maxSections} allowed`);
  const table = readExactly(elf, tableAt, count * sectionHeaderBytes, 'section headers');
  if (namesIndex >= count) throw new BadInput('ELF header at 0x3e', `section ${namesIndex} of names does not exist`);
  const namesSize = wide(table, namesIndex * sectionHeaderBytes + 32);
  if (namesSize > maxNameTableBytes) throw new BadInput('section headers', `${namesSize} bytes of section names`);
  const names = readExactly(
    elf,
    wide(table, namesIndex * sectionHeaderBytes + 24),
    namesSize,
    'names of the sections (.shstrtab)',
  );
  return Array.from({ length: count }, (_, index) => {
    const at = index * sectionHeaderBytes;
    return {
      name: nameAt(names, table.readUInt32LE(at)),
      type: table.readUInt32LE(at + 4),
      flags: table.readUInt32LE(at + 8),
      address: table.readBigUInt64LE(at + 16),
      offsetBytes: wide(table, at + 24),
      sizeBytes: wide(table, at + 32),
      link: table.readUInt32LE(at + 40),
    };
  });
}

/** The last section of that name (or of its .zdebug_ form) that has bytes in the file, as Go's debug/elf picks it. */
export function findSection(sections: readonly ElfSection[], name: string): ElfSection | undefined {
  const olderName = name.replace(/^\.debug_/, '.zdebug_');
  return sections.findLast(
    (section) => (section.name === name || section.name === olderName) && section.type !== sectionType.noBits,
  );
}

function checkHeader(header: Buffer): void {
  if (header.length < headerBytes || header.readUInt32BE(0) !== 0x7f454c46) {
    throw new BadInput('ELF header', 'this is not an ELF file');
  }
  if (header[4] !== 2) throw new BadInput('ELF header at 0x4', 'only 64-bit ELF files are read', 'unsupported');
  if (header[5] !== 1) throw new BadInput('ELF header at 0x5', 'only little-endian ELF files are read', 'unsupported');
  const type = header.readUInt16LE(16);
  if (type === 1) {
    const problem = 'this is a relocatable file (.o or .ko), whose DWARF is not final: give the linked vmlinux';
    throw new BadInput('ELF header at 0x10', problem, 'unsupported');
  }
  if (type !== 2 && type !== 3) {
    throw new BadInput('ELF header at 0x10', `ELF type ${type} is no program: give the linked vmlinux`, 'unsupported');
  }
}

function nameAt(names: Buffer, at: number): string {
  const end = names.subarray(at, at + maxNameBytes).indexOf(0);
  return end < 0 ? '' : names.toString('latin1', at, at + end);
}
