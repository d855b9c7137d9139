import type { ByteSource } from '../byte-source.ts';
import { type ElfSection, readSections, sectionType } from './elf-file.ts';

/** .debug_* sections that are read; relocations, line numbers, location lists and ranges are not. */
const neededDebugSections = [
  '.debug_info',
  '.debug_types',
  '.debug_abbrev',
  '.debug_str',
  '.debug_line_str',
  '.debug_str_offsets',
  '.debug_addr',
] as const;

/** A part of a file, named by its section. */
export interface FilePart {
  readonly name: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/**
 * The parts of the file that buildFromElf reads, beside the file header, the section headers and the section names, which this
 * reads itself; and the notes, for the build-id. Compressed sections are listed as they lie in the file. In the order of the
 * file. Throws BadInput, also for what buildFromElf would refuse by these headers.
 */
export function neededParts(elf: ByteSource): readonly FilePart[] {
  const sections = readSections(elf);
  const symbolTable = sections.find((section) => section.type === sectionType.symbolTable);
  const isNeeded = (section: ElfSection, index: number) =>
    section === symbolTable ||
    (index === symbolTable?.link && index > 0) ||
    section.type === sectionType.note ||
    section.name === '.rodata' ||
    neededDebugSections.some((name) => section.name === name || section.name === name.replace('.', '.z'));
  return sections
    .filter(
      (section, index) => section.type !== sectionType.noBits && section.sizeBytes > 0 && isNeeded(section, index),
    )
    .map(({ name, offsetBytes, sizeBytes }) => ({ name, offsetBytes, lengthBytes: sizeBytes }))
    .sort((a, b) => a.offsetBytes - b.offsetBytes);
}
