import { BadInput } from '../bad-input.ts';
import { base } from './abbreviations.ts';
import { form, slot, tag } from './codes.ts';
import type { DebugSections } from './debug-sections.ts';
import { afterValues, Entry } from './entry.ts';
import { FingerprintMap } from './fingerprint-map.ts';
import { afterLeb, unsignedLeb } from './leb.ts';
import { place, type Unit } from './unit.ts';

const maxDepth = 64;
const first = 0x9e3779b1;
const second = 0x85ebca6b;

/**
 * Numbers of 64 bits for types, equal only for types whose definitions read the same: millions of unnamed structs in the
 * units of a kernel are a few thousand different ones, and only the last of each is looked at closely. Two types that read the
 * same may get different numbers (if a name is stored twice), which costs time and nothing else.
 */
export class Fingerprints {
  readonly #entry: Entry;
  readonly #known = new FingerprintMap();
  /** Types that those in hand refer to, which come next. */
  readonly #references: number[] = [];
  /** Children that may still be read in this unit: structs nested in structs are read again for each of them. */
  #childrenLeft = 0;
  /** The number that was computed last. */
  high = 0;
  low = 0;

  constructor(sections: DebugSections) {
    this.#entry = new Entry(sections);
  }

  begin(unit: Unit): void {
    this.#known.clear();
    this.#childrenLeft = 16 * unit.bytes.length + (1 << 16);
  }

  /** Computes the number of the type at an offset in the unit that was begun. Throws BadInput. */
  compute(unit: Unit, at: number): void {
    this.#references.length = 0;
    this.#visit(unit, at, 0);
  }

  #visit(unit: Unit, at: number, depth: number): void {
    if (this.#known.find(at)) {
      this.high = this.#known.high;
      this.low = this.#known.low;
      return;
    }
    if (depth > maxDepth) throw new BadInput(place(unit, at), `types nest more than ${maxDepth} deep`);
    // what leads to itself without a name in between meets this number
    this.#known.set(at, 1, 1);
    const from = this.#references.length;
    this.#shallow(unit, at);
    let { high, low } = this;
    const to = this.#references.length;
    for (let index = from; index < to; index++) {
      const reference = this.#references[index] as number;
      const inUnit = reference - unit.start;
      if (inUnit >= unit.entriesAt && inUnit < unit.bytes.length) {
        this.#visit(unit, inUnit, depth + 1);
        high = mix(high, this.high, first);
        low = mix(low, this.low, second);
      } else {
        high = mix(high, reference, second);
        low = mix(low, reference, first);
      }
    }
    this.#references.length = from;
    this.high = high >>> 0;
    this.low = low >>> 0;
    this.#known.set(at, this.high, this.low);
  }

  /** Takes in what the type itself says, and gathers the types that it refers to. */
  #shallow(unit: Unit, at: number): void {
    const { table, bytes } = unit;
    const row = table.rowOf(unsignedLeb(bytes, at));
    if (row === 0) throw new BadInput(place(unit, at), 'a reference leads to what is no entry');
    const values = afterLeb(bytes, at);
    if (values + (table.leastBytes[row] as number) > bytes.length)
      throw new BadInput(place(unit, at), 'the entry is cut');
    const kind = table.tag[row] as number;
    this.high = kind;
    this.low = kind;
    switch (kind) {
      case tag.pointerType:
      case tag.constType:
      case tag.volatileType:
      case tag.restrictType:
        this.#refer(unit, at, values, row);
        return;
      case tag.enumerationType:
        this.#takeName(unit, at, values, row);
        break;
      case tag.structureType:
      case tag.unionType:
      case tag.classType:
        this.#takeName(unit, at, values, row);
        if (table.nameForm[row] !== 0) return;
        this.#take(table.declared[row] as number);
        if (table.standsFor[row]) this.#takeSignature(unit, at, slot.signature);
        this.#takeConstants(unit, at, values, row);
        break;
      case tag.arrayType:
      case tag.subroutineType:
        this.#refer(unit, at, values, row);
        break;
      default:
        this.#takeName(unit, at, values, row);
        return;
    }
    if (table.hasChildren[row]) this.#children(unit, afterValues(unit, values, row));
    if (kind === tag.arrayType) this.#take(this.#emptiness(unit, this.#references.at(-1)));
  }

  #children(unit: Unit, from: number): void {
    const { table, bytes } = unit;
    let depth = 0;
    for (let at = from; ; ) {
      if (--this.#childrenLeft < 0)
        throw new BadInput(place(unit, at), 'types nest so much that reading them would not end');
      if (at >= bytes.length) throw new BadInput(place(unit, at), 'the children of a type have no end');
      const code = unsignedLeb(bytes, at);
      const values = afterLeb(bytes, at);
      if (code === 0) {
        if (depth === 0) return;
        depth -= 1;
        at = values;
        continue;
      }
      const row = table.rowOf(code);
      if (row === 0) throw new BadInput(place(unit, at), `abbreviation ${code} is not in the unit's table`);
      const next = afterValues(unit, values, row);
      if (next > bytes.length) throw new BadInput(place(unit, at), 'the entry is cut');
      if (depth === 0) this.#child(unit, at, values, row);
      if (table.hasChildren[row]) depth += 1;
      at = next;
    }
  }

  #child(unit: Unit, at: number, values: number, row: number): void {
    this.#take(unit.table.tag[row] as number);
    this.#takeName(unit, at, values, row);
    this.#takeConstants(unit, at, values, row);
    this.#refer(unit, at, values, row);
  }

  #refer(unit: Unit, at: number, values: number, row: number): void {
    const { table, bytes } = unit;
    const code = table.typeForm[row];
    if (code === form.ref4 && table.typeBase[row] === base.entry) {
      this.#references.push(unit.start + bytes.readUInt32LE(values + (table.typeAt[row] as number)));
    } else if (code !== 0) {
      this.#entry.read(unit, at);
      if (this.#entry.refersBySignature(slot.type)) this.#takeSignature(unit, at, slot.type);
      else this.#references.push(this.#entry.reference(slot.type));
    } else this.#take(0);
  }

  /** An array of elements without size reads otherwise at the end of a struct, so that it must be told apart: 1, or another number. */
  #emptiness(unit: Unit, element: number | undefined): number {
    let reference = element ?? 0;
    for (let steps = 0; steps < maxDepth; steps++) {
      const at = reference - unit.start;
      if (at < unit.entriesAt || at >= unit.bytes.length) return reference;
      if (!this.#entry.read(unit, at)) return 0;
      switch (this.#entry.tag) {
        case tag.typedef:
        case tag.constType:
        case tag.volatileType:
        case tag.restrictType:
        case tag.arrayType:
          reference = this.#entry.refersBySignature(slot.type) ? 0 : this.#entry.reference(slot.type);
          break;
        default:
          return this.#entry.constant(slot.byteSize) === 0 ? 1 : 0;
      }
    }
    return 0;
  }

  #takeSignature(unit: Unit, at: number, wanted: typeof slot.type | typeof slot.signature): void {
    this.#entry.read(unit, at);
    if (!this.#entry.refersBySignature(wanted)) return;
    const signature = this.#entry.signature(wanted);
    this.#take(Number(signature & 0xffffffffn));
    this.#take(Number(signature >> 32n));
  }

  #takeName(unit: Unit, at: number, values: number, row: number): void {
    const isNamed = unit.table.nameForm[row] !== 0;
    this.#take(isNamed ? this.#entry.nameOf(unit, at, values, row) : 0);
  }

  #takeConstants(unit: Unit, at: number, values: number, row: number): void {
    const { table, bytes } = unit;
    const distance = table.constantAt[row] as number;
    if (distance > 0) {
      const from = values + distance - 1;
      const length = table.constantBytes[row];
      this.#take(
        length === 1 ? (bytes[from] as number) : length === 2 ? bytes.readUInt16LE(from) : bytes.readUInt32LE(from),
      );
    } else if (distance < 0) {
      this.#entry.read(unit, at);
      for (const wanted of constantSlots) this.#takeConstant(this.#entry, wanted);
    }
  }

  #takeConstant(entry: Entry, wanted: (typeof constantSlots)[number]): void {
    if (!entry.has(wanted)) return;
    this.#take(wanted);
    const value = entry.exactConstant(wanted);
    if (value === undefined) for (const byte of entry.block(wanted) ?? []) this.#take(byte);
    else this.#take(typeof value === 'bigint' ? Number(BigInt.asIntN(48, value)) : value);
  }

  #take(value: number): void {
    this.high = mix(this.high, value, first);
    this.low = mix(this.low, value, second);
  }
}

const constantSlots = [
  slot.memberLocation,
  slot.bitSize,
  slot.dataBitOffset,
  slot.bitOffset,
  slot.byteSize,
  slot.constValue,
  slot.upperBound,
  slot.count,
] as const;

/** All bits of a number of up to 53 bits go into the 32 of the result. */
function mix(state: number, value: number, factor: number): number {
  const wide = value > 0x7fffffff || value < -0x80000000 ? Math.floor(value / 2 ** 32) : 0;
  let next = Math.imul(state ^ (value | 0), factor);
  next = Math.imul((next ^ (next >>> 15)) + wide, 0xc2b2ae35);
  return next ^ (next >>> 13);
}
