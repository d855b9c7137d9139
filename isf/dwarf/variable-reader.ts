import { BadInput } from '../bad-input.ts';
import { slot } from './codes.ts';
import type { DebugSections } from './debug-sections.ts';
import { Entry } from './entry.ts';
import { place } from './unit.ts';
import type { Units } from './units.ts';

const opAddr = 0x03;
const maxOrigins = 4;

/** A variable, an entry that was found by the survey. */
export interface Variable {
  /** Empty if it has none. */
  readonly name: string;
  /** Offset of its type, 0 if nothing is said. */
  readonly type: number;
  /** The entry that says more about it (DW_AT_specification or DW_AT_abstract_origin), or 0. */
  readonly origin: number;
}

/** Decodes variables by their offset in the space of all units. Throws BadInput. */
export class VariableReader {
  readonly #sections: DebugSections;
  readonly #units: Units;
  readonly #entry: Entry;

  constructor(sections: DebugSections, units: Units) {
    this.#sections = sections;
    this.#units = units;
    this.#entry = new Entry(sections);
  }

  at(offset: number): Variable {
    const entry = this.#entry;
    const unit = this.#units.at(offset);
    const at = offset - unit.start;
    if (!entry.read(unit, at)) throw new BadInput(place(unit, at), 'a reference leads to a null entry');
    const name = entry.name();
    return {
      name: name === undefined ? '' : this.#sections.names.text(name),
      type: entry.reference(slot.type),
      origin: entry.reference(slot.specification) || entry.reference(slot.origin),
    };
  }

  /** What the location of a variable says if that begins with a constant address, else 0: dwarf2json ignores what follows. */
  address(offset: number): bigint {
    const unit = this.#units.at(offset);
    this.#entry.read(unit, offset - unit.start);
    const location = this.#entry.block(slot.location);
    return location ? addressOf(location, unit.format.addressBytes) : 0n;
  }

  /** With name and type completed by the entries that it refers to. */
  completed(offset: number): Pick<Variable, 'name' | 'type'> {
    let { name, type, origin } = this.at(offset);
    for (let steps = 0; steps < maxOrigins && origin !== 0 && (name === '' || type === 0); steps++) {
      const next = this.at(origin);
      name ||= next.name;
      type ||= next.type;
      origin = next.origin;
    }
    return { name, type };
  }
}

function addressOf(location: Buffer, addressBytes: number): bigint {
  if (location.length < 5 || location[0] !== opAddr) return 0n;
  if (addressBytes === 4) return BigInt(location.readUInt32LE(1));
  return location.length < 9 ? 0n : location.readBigUInt64LE(1);
}
