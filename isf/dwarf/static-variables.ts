import { BadInput } from '../bad-input.ts';
import { type AbbreviationTable, base } from './abbreviations.ts';
import { form, slot } from './codes.ts';
import { type DebugSections, indexAt } from './debug-sections.ts';
import { Entry } from './entry.ts';
import { LastSeen } from './last-seen.ts';
import { place, type Unit } from './unit.ts';
import type { Variables } from './variables.ts';

const maxDefinitions = 1 << 22;
const op = { addr: 0x03, addrx: 0xa1, gnuAddrIndex: 0xfb } as const;

/** A variable at a constant address. */
export interface Definition {
  /** Number of its name, undefined where another entry has it. */
  readonly name: number | undefined;
  readonly offset: number;
  readonly addressLow: number;
  readonly addressHigh: number;
}

/**
 * The variables that can be what a symbol of the program stands for: those at a constant address (DW_OP_addr or DW_OP_addrx
 * alone: of file scope, or static in a function), and those of other units that are declared here (DW_AT_external or
 * DW_AT_declaration). Variables of a function's frame or in registers, of a thread, and optimised ones are none.
 */
export class StaticVariables implements Variables {
  readonly #sections: DebugSections;
  readonly #entry: Entry;
  /** The last of each name that is external or declared, by number of name. */
  readonly declared = new LastSeen();
  #names = new Uint32Array(64);
  #offsets = new Uint32Array(64);
  #lows = new Uint32Array(64);
  #highs = new Uint32Array(64);
  #count = 0;

  constructor(sections: DebugSections) {
    this.#sections = sections;
    this.#entry = new Entry(sections);
  }

  wants(table: AbbreviationTable, row: number): boolean {
    return table.locationForm[row] !== 0 || (table.nameForm[row] !== 0 && isDeclared(table, row));
  }

  note(unit: Unit, entryAt: number, at: number, row: number): void {
    const { table, bytes, start } = unit;
    let name = 0;
    if (table.nameForm[row] !== 0 && isDeclared(table, row)) {
      name = this.#entry.nameOf(unit, entryAt, at, row);
      this.declared.raise(0, name, start + entryAt);
    }
    const code = table.locationForm[row];
    if (code === 0) return;
    const direct = at + (table.locationAt[row] as number);
    // most variables are of functions: this sees without reading the entry that they are in the frame
    if (code === form.exprloc && table.locationBase[row] === base.entry) {
      const first = bytes[direct + 1];
      if (first !== op.addr && first !== op.addrx && first !== op.gnuAddrIndex) return;
    }
    this.#entry.read(unit, entryAt);
    const location = this.#entry.block(slot.location);
    if (!location || location.length === 0) return;
    const address = this.#address(unit, location);
    if (address === undefined) return;
    if (name === 0) name = this.#entry.name() ?? this.#originsName(unit);
    this.#keep(unit, entryAt, name, address);
  }

  /** The name that the declaration has in the same unit, 0 if it is elsewhere. */
  #originsName(unit: Unit): number {
    const wanted = this.#entry.has(slot.specification) ? slot.specification : slot.origin;
    if (!this.#entry.has(wanted) || this.#entry.refersBySignature(wanted)) return 0;
    const at = this.#entry.reference(wanted) - unit.start;
    if (at < unit.entriesAt || at >= unit.bytes.length || !this.#entry.read(unit, at)) return 0;
    return this.#entry.name() ?? 0;
  }

  /** In the order of their appearance. */
  *definitions(): Generator<Definition> {
    for (let index = 0; index < this.#count; index++) {
      yield {
        name: this.#names[index] || undefined,
        offset: this.#offsets[index] as number,
        addressLow: this.#lows[index] as number,
        addressHigh: this.#highs[index] as number,
      };
    }
  }

  #address(unit: Unit, location: Buffer): { low: number; high: number } | undefined {
    const { addressBytes } = unit.format;
    if (location[0] === op.addr) {
      if (location.length !== 1 + addressBytes) return undefined;
      return { low: location.readUInt32LE(1), high: addressBytes === 8 ? location.readUInt32LE(5) : 0 };
    }
    if (location[0] !== op.addrx && location[0] !== op.gnuAddrIndex) return undefined;
    const indexBytes = location.subarray(1);
    if (indexBytes.length === 0 || indexBytes.findIndex((byte) => byte < 0x80) !== indexBytes.length - 1)
      return undefined;
    const address = this.#sections.address(unit, indexAt({ ...unit, bytes: location }, 1, form.addrx));
    return { low: Number(address & 0xffffffffn), high: Number(address >> 32n) };
  }

  #keep(unit: Unit, entryAt: number, name: number, address: { low: number; high: number }): void {
    if (this.#count === this.#names.length) {
      if (this.#count >= maxDefinitions)
        throw new BadInput(place(unit, entryAt), `more than ${maxDefinitions} variables`);
      this.#names = doubled(this.#names);
      this.#offsets = doubled(this.#offsets);
      this.#lows = doubled(this.#lows);
      this.#highs = doubled(this.#highs);
    }
    this.#names[this.#count] = name;
    this.#offsets[this.#count] = unit.start + entryAt;
    this.#lows[this.#count] = address.low;
    this.#highs[this.#count] = address.high;
    this.#count += 1;
  }
}

function isDeclared(table: AbbreviationTable, row: number): boolean {
  return table.declared[row] !== 0 || table.external[row] !== 0;
}

function doubled(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(array.length * 2);
  larger.set(array);
  return larger;
}
