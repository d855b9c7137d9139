import type { ByteSource } from '../byte-source.ts';
import { type ElfSection, sectionFlag, sectionType } from './elf-file.ts';
import { readExactly } from './read-exactly.ts';

/** The banner has about 250 bytes. */
const maxBytes = 4096n;

/** What lies in .rodata at an address; undefined if the file does not hold it: files with debug information only do not. */
export function constantData(
  elf: ByteSource,
  sections: readonly ElfSection[],
  address: bigint,
  sizeBytes: bigint,
): Buffer | undefined {
  const holds = (section: ElfSection) =>
    section.name === '.rodata' &&
    (section.flags & sectionFlag.allocated) !== 0 &&
    section.address <= address &&
    section.address + BigInt(section.sizeBytes) >= address + sizeBytes;
  const section = sections.find(holds);
  if (!section || section.type === sectionType.noBits || sizeBytes === 0n || sizeBytes > maxBytes) return undefined;
  const from = section.offsetBytes + Number(address - section.address);
  return readExactly(elf, from, Number(sizeBytes), 'linux_banner in .rodata');
}
