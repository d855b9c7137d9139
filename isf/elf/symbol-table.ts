import { BadInput } from '../bad-input.ts';
import type { ByteSource } from '../byte-source.ts';
import { type ElfSection, sectionType } from './elf-file.ts';
import { readExactly } from './read-exactly.ts';
import { sectionBytes } from './section-bytes.ts';

const symbolBytes = 24;
/** The largest kernels have half a million. */
const maxSymbols = 1 << 20;
const maxStringBytes = 64 << 20;
const maxNameBytes = 1024;

const symbolType = { section: 3, file: 4 } as const;

/** The symbols of a program (gABI, chapter 4, "Symbol Table"), by their index in .symtab. */
export class SymbolTable {
  readonly #symbols: Buffer;
  readonly #strings: Buffer;
  readonly count: number;

  /** Throws BadInput if there is no .symtab, or a damaged one. */
  constructor(elf: ByteSource, sections: readonly ElfSection[]) {
    const table = sections.find((section) => section.type === sectionType.symbolTable);
    if (!table || table.sizeBytes === 0) {
      const problem = 'the file has no symbol table, which holds the addresses: give a vmlinux that was not stripped';
      throw new BadInput('.symtab', problem, 'unsupported');
    }
    const strings = sections[table.link];
    if (!strings || table.link === 0)
      throw new BadInput('.symtab', `section ${table.link}, of its names, does not exist`);
    if (table.sizeBytes % symbolBytes !== 0)
      throw new BadInput('.symtab', `${table.sizeBytes} bytes are no whole symbols`);
    if (table.sizeBytes > maxSymbols * symbolBytes || strings.sizeBytes > maxStringBytes) {
      throw new BadInput('.symtab', `more than ${maxSymbols} symbols`, 'unsupported');
    }
    this.#symbols = whole(elf, table);
    this.#strings = whole(elf, strings);
    this.count = this.#symbols.length / symbolBytes;
  }

  /** Empty where the name is damaged, as Go's debug/elf has it. */
  name(index: number): string {
    const at = this.#symbols.readUInt32LE(index * symbolBytes);
    if (at >= this.#strings.length) return '';
    const end = this.#strings.indexOf(0, at);
    if (end < 0) return '';
    if (end - at > maxNameBytes) throw new BadInput('.symtab', `the name of symbol ${index} has ${end - at} bytes`);
    return this.#strings.toString('utf8', at, end);
  }

  address(index: number): bigint {
    return this.#symbols.readBigUInt64LE(index * symbolBytes + 8);
  }

  /** The halves of the address, for comparing many of them. */
  addressLow(index: number): number {
    return this.#symbols.readUInt32LE(index * symbolBytes + 8);
  }

  addressHigh(index: number): number {
    return this.#symbols.readUInt32LE(index * symbolBytes + 12);
  }

  sizeBytes(index: number): bigint {
    return this.#symbols.readBigUInt64LE(index * symbolBytes + 16);
  }

  /** Whether it stands for a place in the program: not for a section, a source file, or something defined nowhere. */
  isPlace(index: number): boolean {
    const type = (this.#symbols[index * symbolBytes + 4] as number) & 0xf;
    const section = this.#symbols.readUInt16LE(index * symbolBytes + 6);
    return type !== symbolType.section && type !== symbolType.file && section !== 0;
  }
}

function whole(elf: ByteSource, section: ElfSection): Buffer {
  const bytes = sectionBytes(elf, section, maxStringBytes);
  return readExactly(bytes, 0, bytes.sizeBytes, section.name);
}
