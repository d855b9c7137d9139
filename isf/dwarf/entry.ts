import { BadInput } from '../bad-input.ts';
import { form, sizeOfForm, slot, type slot as slots, step } from './codes.ts';
import type { DebugSections } from './debug-sections.ts';
import { afterLeb, unsignedLeb, wideLeb } from './leb.ts';
import { place, type Unit } from './unit.ts';

type Slot = (typeof slots)[keyof typeof slots];

/**
 * A debugging information entry (DWARF 5, section 2) with the places of the attributes that are read. One object serves
 * for all entries, one after the other. Every method throws BadInput on what is damaged.
 */
export class Entry {
  readonly #sections: DebugSections;
  #unit: Unit | undefined;
  tag = 0;
  hasChildren = false;
  /** Offset in the unit after the entry's attributes. */
  end = 0;
  readonly #at = new Uint32Array(slot.size);
  readonly #form = new Uint16Array(slot.size);

  constructor(sections: DebugSections) {
    this.#sections = sections;
  }

  /** Reads the entry at an offset in the unit; false for the null entry that ends a list of siblings. */
  read(unit: Unit, at: number): boolean {
    const { bytes, table } = unit;
    this.#unit = unit;
    if (!(at >= unit.entriesAt && at < bytes.length))
      throw new BadInput(place(unit, at), 'no entry of its unit lies here');
    const code = unsignedLeb(bytes, at);
    let next = afterLeb(bytes, at);
    this.end = next;
    this.#at.fill(0);
    if (code === 0) return false;
    const row = table.rowOf(code);
    if (row === 0) throw new BadInput(place(unit, at), `abbreviation ${code} is not in the unit's table`);
    this.tag = table.tag[row] as number;
    this.hasChildren = table.hasChildren[row] !== 0;
    const last = table.firstAttribute[row + 1] as number;
    for (let index = table.firstAttribute[row] as number; index < last; index++) {
      let code = table.attributeForm[index] as number;
      let size = table.attributeBytes[index] as number;
      if (size === step.indirect) {
        code = unsignedLeb(bytes, next);
        size = indirectSize(unit, next, code);
        next = afterLeb(bytes, next);
      }
      const wanted = table.attributeSlot[index] as number;
      if (wanted !== slot.none && this.#at[wanted] === 0) {
        this.#form[wanted] = code;
        this.#at[wanted] = code === form.implicitConst ? (table.implicitAt[index] as number) : next;
      }
      next = size >= 0 ? next + size : stepOver(unit, next, size);
      if (next > bytes.length) throw new BadInput(place(unit, at), "the entry goes beyond its unit's end");
    }
    this.end = next;
    return true;
  }

  has(wanted: Slot): boolean {
    return this.#at[wanted] !== 0;
  }

  /** Number of the name, undefined if it has none. */
  name(): number | undefined {
    const at = this.#at[slot.name] as number;
    if (at === 0) return undefined;
    return this.#sections.name(this.#current, at, this.#form[slot.name] as number);
  }

  /**
   * Number of the name of the entry at `entryAt`, found by its abbreviation where that is possible. `at` is where its
   * values begin.
   */
  nameOf(unit: Unit, entryAt: number, at: number, row: number): number {
    const { table, bytes } = unit;
    const { names } = this.#sections;
    const distance = table.nameAt[row] as number;
    const code = table.nameForm[row] as number;
    if (distance >= 0) {
      if (code === form.strp && unit.format.offsetBytes === 4) return names.at(bytes.readUInt32LE(at + distance));
      if (code === form.string) return names.inline(bytes, at + distance);
    }
    this.read(unit, entryAt);
    return this.name() ?? names.none;
  }

  /**
   * A constant as a signed 64-bit integer, as a bigint above 2^53; undefined if the attribute is absent or has another class
   * (an expression, a reference). data1 to data4 are taken as unsigned, for DWARF does not tell (section 7.5.5).
   */
  exactConstant(wanted: Slot): number | bigint | undefined {
    const at = this.#at[wanted] as number;
    if (at === 0) return undefined;
    const { bytes, format } = this.#current;
    switch (this.#form[wanted] as number) {
      case form.data1:
        return bytes[at] as number;
      case form.data2:
        return bytes.readUInt16LE(at);
      case form.data4:
        return bytes.readUInt32LE(at);
      case form.data8:
        return narrowed(bytes.readBigInt64LE(at));
      case form.secOffset:
        return format.offsetBytes === 4 ? bytes.readUInt32LE(at) : narrowed(bytes.readBigInt64LE(at));
      case form.udata:
        return narrowed(wideLeb(bytes, at, false));
      case form.sdata:
        return narrowed(wideLeb(bytes, at, true));
      case form.implicitConst:
        return narrowed(wideLeb(this.#sections.abbreviations, at, true));
      default:
        return undefined;
    }
  }

  /** As exactConstant, rounded above 2^53: for sizes and offsets, which are never so large. */
  constant(wanted: Slot): number | undefined {
    const value = this.exactConstant(wanted);
    return value === undefined ? undefined : Number(value);
  }

  /** Offset in the space of all units that a reference leads to; 0 if the attribute is absent or no reference. */
  reference(wanted: Slot): number {
    const at = this.#at[wanted] as number;
    return at === 0 ? 0 : this.#sections.reference(this.#current, at, this.#form[wanted] as number);
  }

  /** Whether it refers to a type by its signature rather than to an entry. */
  refersBySignature(wanted: Slot): boolean {
    return this.#at[wanted] !== 0 && this.#form[wanted] === form.refSig8;
  }

  /** The signature by which it refers to a type. */
  signature(wanted: Slot): bigint {
    return this.#current.bytes.readBigUInt64LE(this.#at[wanted] as number);
  }

  /** The bytes of an expression or block, undefined if the attribute is absent or something else. */
  block(wanted: Slot): Buffer | undefined {
    const at = this.#at[wanted] as number;
    if (at === 0) return undefined;
    return blockAt(this.#current, at, this.#form[wanted] as number);
  }

  get #current(): Unit {
    if (!this.#unit) throw new Error('no entry was read yet');
    return this.#unit;
  }
}

/** A number where it is exact, for numbers are faster. */
function narrowed(value: bigint): number | bigint {
  const near = Number(value);
  return Number.isSafeInteger(near) ? near : value;
}

function indirectSize(unit: Unit, at: number, code: number): number {
  const size = sizeOfForm(code, unit.format);
  if (size <= step.indirect || code === form.implicitConst) {
    throw new BadInput(place(unit, at), `the indirect form 0x${code.toString(16)} is not allowed`);
  }
  return size;
}

/** Offset after a value whose form lies before it; possibly beyond the unit's end. */
function afterIndirect(unit: Unit, at: number): number {
  const size = indirectSize(unit, at, unsignedLeb(unit.bytes, at));
  const next = afterLeb(unit.bytes, at);
  return size >= 0 ? next + size : stepOver(unit, next, size);
}

/** Offset after the values of an entry of this abbreviation; possibly beyond the unit's end. */
export function afterValues(unit: Unit, at: number, row: number): number {
  const { table, bytes } = unit;
  const fixed = table.fixedBytes[row] as number;
  if (fixed >= 0) return at + fixed;
  const last = table.firstAttribute[row + 1] as number;
  let next = at;
  for (let index = table.firstAttribute[row] as number; index < last; index++) {
    const size = table.attributeBytes[index] as number;
    if (size >= 0) next += size;
    else if (size === step.indirect) next = afterIndirect(unit, next);
    else next = stepOver(unit, next, size);
    if (next > bytes.length) return next;
  }
  return next;
}

/** Most strings in entries have one to three letters, for which a loop is faster than indexOf. */
function afterString(bytes: Buffer, at: number): number {
  for (let next = at; next < at + 8 && next < bytes.length; next++) if (bytes[next] === 0) return next + 1;
  const end = bytes.indexOf(0, at);
  return end < 0 ? bytes.length + 1 : end + 1;
}

/** Offset after a value of varying length; possibly beyond the unit's end. */
function stepOver(unit: Unit, at: number, size: number): number {
  const { bytes } = unit;
  switch (size) {
    case step.leb:
      return afterLeb(bytes, at);
    case step.string:
      return afterString(bytes, at);
    case step.block1:
      return at + 1 + (bytes[at] ?? 0);
    case step.block2:
      return at + 2 + (at + 2 <= bytes.length ? bytes.readUInt16LE(at) : 0);
    case step.block4:
      return at + 4 + (at + 4 <= bytes.length ? bytes.readUInt32LE(at) : 0);
    default:
      return afterLeb(bytes, at) + unsignedLeb(bytes, at);
  }
}

function blockAt(unit: Unit, at: number, code: number): Buffer | undefined {
  const { bytes } = unit;
  const size = sizeOfForm(code, unit.format);
  if (size > step.block1 || size <= step.indirect) return undefined;
  const from =
    size === step.block1 ? at + 1 : size === step.block2 ? at + 2 : size === step.block4 ? at + 4 : afterLeb(bytes, at);
  return bytes.subarray(from, stepOver(unit, at, size));
}
