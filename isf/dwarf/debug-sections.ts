import { BadInput } from '../bad-input.ts';
import { type ByteSource, inMemory } from '../byte-source.ts';
import { type ElfSection, findSection } from '../elf/elf-file.ts';
import { readExactly } from '../elf/read-exactly.ts';
import { sectionBytes } from '../elf/section-bytes.ts';
import { form } from './codes.ts';
import { unsignedLeb } from './leb.ts';
import { Names } from './names.ts';
import { place, type Unit } from './unit.ts';

/** Sections that are held in memory; a large kernel has 5 MB of each. */
const maxHeldBytes = 64 << 20;
/** Offsets of entries are kept as 32-bit numbers. */
const maxInfoBytes = 2 ** 32 - 2 ** 24;
const keptOffsetsBytes = 1 << 20;

/** The debug sections of a file. Throws BadInput where one is missing that is needed. */
export class DebugSections {
  readonly info: ByteSource;
  readonly types: ByteSource;
  readonly abbreviations: Buffer;
  readonly names: Names;
  /** Entries that define the type of a signature, by that. */
  readonly signatures = new Map<bigint, number>();
  readonly #strOffsets: ByteSource;
  readonly #addresses: ByteSource;
  #offsetsFrom = 0;
  #offsets: Buffer = Buffer.alloc(0);

  constructor(elf: ByteSource, sections: readonly ElfSection[]) {
    const open = (name: string, limitBytes?: number) => {
      const section = findSection(sections, name);
      return section ? sectionBytes(elf, section, limitBytes) : inMemory(Buffer.alloc(0));
    };
    const held = (name: string) => {
      const bytes = open(name, maxHeldBytes);
      if (bytes.sizeBytes > maxHeldBytes) {
        throw new BadInput(name, `${bytes.sizeBytes} bytes are more than the ${maxHeldBytes} allowed`, 'unsupported');
      }
      return readExactly(bytes, 0, bytes.sizeBytes, name);
    };
    if (findSection(sections, '.gnu_debugaltlink')) {
      const problem =
        'the debug information is shared with a supplementary file (dwz -m): give a file that holds all of it';
      throw new BadInput('.gnu_debugaltlink', problem, 'unsupported');
    }
    this.info = open('.debug_info');
    if (this.info.sizeBytes === 0) {
      const problem = 'the file carries no DWARF debug information: give a vmlinux that was not stripped';
      throw new BadInput('.debug_info', problem, 'unsupported');
    }
    this.types = open('.debug_types', maxHeldBytes);
    if (this.info.sizeBytes + this.types.sizeBytes > maxInfoBytes) {
      throw new BadInput('.debug_info', 'more than 4 GiB of debug information', 'unsupported');
    }
    this.abbreviations = held('.debug_abbrev');
    this.names = new Names(held('.debug_str'), held('.debug_line_str'));
    this.#strOffsets = open('.debug_str_offsets', maxHeldBytes);
    this.#addresses = open('.debug_addr', maxHeldBytes);
  }

  /** Number of the name that an attribute holds (DWARF 5, section 7.5.5, class string); undefined for other classes. */
  name(unit: Unit, at: number, code: number): number | undefined {
    switch (code) {
      case form.strp:
        return this.names.at(offsetAt(unit, at));
      case form.string:
        return this.names.inline(unit.bytes, at);
      case form.lineStrp:
        return this.names.atLine(offsetAt(unit, at));
      case form.strx:
      case form.gnuStrIndex:
      case form.strx1:
      case form.strx2:
      case form.strx3:
      case form.strx4:
        return this.names.at(this.#stringOffset(unit, indexAt(unit, at, code)));
      default:
        return undefined;
    }
  }

  /** Offset in the space of all units that a reference leads to (class reference); 0 for other classes. */
  reference(unit: Unit, at: number, code: number): number {
    const { bytes, start } = unit;
    switch (code) {
      case form.ref4:
        return start + bytes.readUInt32LE(at);
      case form.ref1:
        return start + (bytes[at] as number);
      case form.ref2:
        return start + bytes.readUInt16LE(at);
      case form.ref8:
        return start + wideAt(bytes, at);
      case form.refUdata:
        return start + unsignedLeb(bytes, at);
      case form.refAddr: {
        const size = unit.format.version === 2 ? unit.format.addressBytes : unit.format.offsetBytes;
        return size === 4 ? bytes.readUInt32LE(at) : wideAt(bytes, at);
      }
      case form.refSig8: {
        const signature = bytes.readBigUInt64LE(at);
        const entry = this.signatures.get(signature);
        if (entry === undefined)
          throw new BadInput(place(unit, at), `no type unit has the signature 0x${signature.toString(16)}`);
        return entry;
      }
      default:
        return 0;
    }
  }

  /** The address of index `index` in the unit's part of .debug_addr (DWARF 5, section 7.27). */
  address(unit: Unit, index: number): bigint {
    const { addressBytes, version, offsetBytes } = unit.format;
    const from = unit.addrBase || (version >= 5 ? offsetBytes * 2 : 0);
    const bytes = readExactly(this.#addresses, from + index * addressBytes, addressBytes, '.debug_addr');
    return addressBytes === 8 ? bytes.readBigUInt64LE(0) : BigInt(bytes.readUInt32LE(0));
  }

  /** Offset in .debug_str by an index into the unit's part of .debug_str_offsets (DWARF 5, section 7.26). */
  #stringOffset(unit: Unit, index: number): number {
    const { offsetBytes, version } = unit.format;
    const from = (unit.strOffsetsBase || (version >= 5 ? offsetBytes * 2 : 0)) + index * offsetBytes;
    let at = from - this.#offsetsFrom;
    if (!(at >= 0 && at + offsetBytes <= this.#offsets.length)) {
      if (!(from >= 0 && from + offsetBytes <= this.#strOffsets.sizeBytes)) {
        throw new BadInput(
          '.debug_str_offsets',
          `index ${index} of the unit at 0x${unit.start.toString(16)} does not exist`,
        );
      }
      // units come one after the other, and their parts of this section too
      this.#offsetsFrom = Math.max(0, from - (keptOffsetsBytes >> 2));
      this.#offsets = this.#strOffsets.read(this.#offsetsFrom, keptOffsetsBytes);
      at = from - this.#offsetsFrom;
      if (at + offsetBytes > this.#offsets.length) throw new BadInput('.debug_str_offsets', 'the section is cut');
    }
    return offsetBytes === 4 ? this.#offsets.readUInt32LE(at) : wideAt(this.#offsets, at);
  }
}

function offsetAt(unit: Unit, at: number): number {
  return unit.format.offsetBytes === 4 ? unit.bytes.readUInt32LE(at) : wideAt(unit.bytes, at);
}

function wideAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}

/** The index that an attribute of one of the forms strx, strx1 to 4, or addrx, holds. */
export function indexAt(unit: Unit, at: number, code: number): number {
  const { bytes } = unit;
  switch (code) {
    case form.strx1:
      return bytes[at] as number;
    case form.strx2:
      return bytes.readUInt16LE(at);
    case form.strx3:
      return bytes.readUIntLE(at, 3);
    case form.strx4:
      return bytes.readUInt32LE(at);
    default:
      return unsignedLeb(bytes, at);
  }
}
