import { BadInput } from '../bad-input.ts';
import { type AbbreviationTable, base } from './abbreviations.ts';
import { form, slot, tag } from './codes.ts';
import type { DebugSections } from './debug-sections.ts';
import { afterValues, Entry } from './entry.ts';
import { Fingerprints } from './fingerprints.ts';
import { LastSeen } from './last-seen.ts';
import { afterLeb, unsignedLeb } from './leb.ts';
import { place, type Unit } from './unit.ts';
import type { Units } from './units.ts';
import type { Variables } from './variables.ts';

/** Which entries the ISF is made of. All offsets are in the space of all units, see Units. */
export interface Survey {
  /** The last complete struct or union, or typedef of one, by number of name (low; high is 0). */
  readonly users: LastSeen;
  readonly enums: LastSeen;
  /** Enumerations that are only declared. */
  readonly declaredEnums: LastSeen;
  /** The last of those unnamed structs and unions that look the same; of enumerations likewise. */
  readonly unnamedUsers: LastSeen;
  readonly unnamedEnums: LastSeen;
  /** Base types by name (low) and size (high): the first of each, by their order. */
  readonly bases: readonly number[];
  /** The first pointer, 0 if there is none. */
  readonly pointer: number;
  /** Typedefs of types in other units, in order. */
  readonly distantTypedefs: readonly DistantTypedef[];
}

interface DistantTypedef {
  readonly name: number;
  readonly offset: number;
}

const maxDistantTypedefs = 1 << 20;

/** What an entry is to the survey, by its abbreviation. */
const interest = {
  none: 0,
  namedUser: 1,
  unnamedUser: 2,
  namedEnum: 3,
  unnamedEnum: 4,
  typedef: 5,
  base: 6,
  pointer: 7,
  variable: 8,
  declaredEnum: 9,
} as const;

/** Goes once through all entries, flat: who is whose child does not matter to what is wanted. Throws BadInput. */
export function takeSurvey(sections: DebugSections, units: Units, variables: Variables): Survey {
  const surveyor = new Surveyor(sections, variables);
  for (const unit of units.walk()) surveyor.walk(unit);
  return surveyor;
}

class Surveyor implements Survey {
  readonly users = new LastSeen();
  readonly enums = new LastSeen();
  readonly declaredEnums = new LastSeen();
  readonly unnamedUsers = new LastSeen();
  readonly unnamedEnums = new LastSeen();
  readonly bases: number[] = [];
  readonly #baseKeys = new Set<number>();
  pointer = 0;
  readonly distantTypedefs: DistantTypedef[] = [];
  readonly #variables: Variables;
  readonly #entry: Entry;
  readonly #fingerprints: Fingerprints;
  #interest = new Uint8Array(64);

  constructor(sections: DebugSections, variables: Variables) {
    this.#variables = variables;
    this.#entry = new Entry(sections);
    this.#fingerprints = new Fingerprints(sections);
  }

  walk(unit: Unit): void {
    const { bytes, table } = unit;
    this.#classify(table);
    this.#fingerprints.begin(unit);
    const wanted = this.#interest;
    const { rowByCode, fixedBytes, leastBytes } = table;
    const end = bytes.length;
    let at = unit.entriesAt;
    while (at < end) {
      const entryAt = at;
      let code = bytes[at] as number;
      at += 1;
      if (code === 0) continue;
      if (code >= 0x80) {
        code = unsignedLeb(bytes, entryAt);
        at = afterLeb(bytes, entryAt);
      }
      const row = code < rowByCode.length ? (rowByCode[code] as number) : table.rowOf(code);
      if (row === 0) throw new BadInput(place(unit, entryAt), `abbreviation ${code} is not in the unit's table`);
      if (at + (leastBytes[row] as number) > end) throw cut(unit, entryAt);
      if (wanted[row] !== interest.none) this.#visit(unit, entryAt, at, row, wanted[row] as number);
      const fixed = fixedBytes[row] as number;
      at = fixed >= 0 ? at + fixed : afterValues(unit, at, row);
      if (at > end) throw cut(unit, entryAt);
    }
  }

  #visit(unit: Unit, entryAt: number, at: number, row: number, kind: number): void {
    const { start } = unit;
    const offset = start + entryAt;
    switch (kind) {
      case interest.namedUser:
        this.users.raise(0, this.#entry.nameOf(unit, entryAt, at, row), offset);
        return;
      case interest.namedEnum:
        this.enums.raise(0, this.#entry.nameOf(unit, entryAt, at, row), offset);
        return;
      case interest.typedef:
        this.#typedef(unit, entryAt, at, row);
        return;
      case interest.unnamedUser:
        this.#fingerprints.compute(unit, entryAt);
        this.unnamedUsers.raise(this.#fingerprints.high, this.#fingerprints.low, offset);
        return;
      case interest.unnamedEnum:
        this.#fingerprints.compute(unit, entryAt);
        this.unnamedEnums.raise(this.#fingerprints.high, this.#fingerprints.low, offset);
        return;
      case interest.variable:
        this.#variables.note(unit, entryAt, at, row);
        return;
      case interest.base:
        this.#base(unit, entryAt);
        return;
      case interest.pointer:
        if (this.pointer === 0) this.pointer = offset;
        return;
      default:
        this.declaredEnums.raise(0, this.#entry.nameOf(unit, entryAt, at, row), offset);
    }
  }

  #classify(table: AbbreviationTable): void {
    if (this.#interest.length <= table.rows) this.#interest = new Uint8Array(table.rows * 2);
    for (let row = 1; row <= table.rows; row++) this.#interest[row] = this.#kindOf(table, row);
  }

  #kindOf(table: AbbreviationTable, row: number): number {
    const named = table.nameForm[row] !== 0;
    switch (table.tag[row]) {
      case tag.structureType:
      case tag.unionType:
        if (table.declared[row]) return interest.none;
        return named ? interest.namedUser : interest.unnamedUser;
      case tag.enumerationType:
        if (table.standsFor[row]) return interest.none;
        if (!named) return interest.unnamedEnum;
        return table.declared[row] ? interest.declaredEnum : interest.namedEnum;
      case tag.typedef:
        return named && table.typeForm[row] !== 0 ? interest.typedef : interest.none;
      case tag.baseType:
        return named ? interest.base : interest.none;
      case tag.pointerType:
        return this.pointer === 0 ? interest.pointer : interest.none;
      case tag.variable:
        return this.#variables.wants(table, row) ? interest.variable : interest.none;
      default:
        return interest.none;
    }
  }

  /** A typedef directly of a complete struct counts as a struct of its own, as in dwarf2json. */
  #typedef(unit: Unit, entryAt: number, at: number, row: number): void {
    const { table, bytes, start } = unit;
    const name = this.#entry.nameOf(unit, entryAt, at, row);
    let target: number;
    if (table.typeForm[row] === form.ref4 && table.typeBase[row] === base.entry) {
      target = bytes.readUInt32LE(at + (table.typeAt[row] as number));
    } else {
      this.#entry.read(unit, entryAt);
      const isDistant = this.#entry.refersBySignature(slot.type);
      target = isDistant ? -1 : this.#entry.reference(slot.type) - start;
    }
    const targetRow = target >= unit.entriesAt && target < bytes.length ? table.rowOf(unsignedLeb(bytes, target)) : 0;
    if (targetRow === 0 || table.standsFor[targetRow]) {
      if (this.distantTypedefs.length >= maxDistantTypedefs) {
        throw new BadInput(place(unit, entryAt), `more than ${maxDistantTypedefs} typedefs of types in other units`);
      }
      this.distantTypedefs.push({ name, offset: start + entryAt });
      return;
    }
    const targetTag = table.tag[targetRow];
    const isUser = targetTag === tag.structureType || targetTag === tag.unionType || targetTag === tag.classType;
    if (isUser && !table.declared[targetRow]) this.users.raise(0, name, start + entryAt);
  }

  #base(unit: Unit, entryAt: number): void {
    this.#entry.read(unit, entryAt);
    const key = (this.#entry.name() ?? 0) * 2 ** 16 + ((this.#entry.constant(slot.byteSize) ?? 0) % 2 ** 16);
    if (this.#baseKeys.has(key)) return;
    this.#baseKeys.add(key);
    this.bases.push(unit.start + entryAt);
  }
}

function cut(unit: Unit, at: number): BadInput {
  return new BadInput(place(unit, at), "the entry goes beyond its unit's end");
}
