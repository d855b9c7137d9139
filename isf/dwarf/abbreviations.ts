import { BadInput } from '../bad-input.ts';
import { elsewhere, form, sizeOfForm, slot, slotOf, step, type UnitFormat } from './codes.ts';

/** Grown as needed; small files would spend their time on these. */
const firstRows = 64;
const firstAttributes = 256;
const maxRows = 1 << 17;
const maxAttributes = 1 << 20;
/** Codes are numbered from 1 on; only hostile files have large ones, and those go to a Map. */
const maxDenseCode = 1 << 16;

/** Where an attribute's value lies, so that an entry's name or type is found without stepping through the others. */
export const base = { entry: 0, nameEnd: 1, unknown: 2 } as const;

/**
 * One table of .debug_abbrev (DWARF 5, section 7.5.3), compiled for one format of units into arrays by row; row 0 is
 * never used. The arrays are public because the loop over millions of entries reads them directly; they are used again for
 * the next table.
 */
export class AbbreviationTable {
  /** Row by code, 0 where there is none, for codes below its length. */
  rowByCode = new Uint32Array(firstRows);
  #rowByLargeCode = new Map<number, number>();
  /** Which table this is; empty once it may be overwritten. */
  key = '';
  rows = 0;
  /** Rows and attributes together. */
  weight = 0;
  tag = new Uint16Array(firstRows);
  hasChildren = new Uint8Array(firstRows);
  /** Bytes of an entry after its code, or -1 if that varies. */
  fixedBytes = new Int32Array(firstRows);
  /** Bytes of its values of fixed length together. */
  leastBytes = new Uint32Array(firstRows);
  declared = new Uint8Array(firstRows);
  external = new Uint8Array(firstRows);
  /** Whether it stands for the type of a type unit (DW_AT_signature). */
  standsFor = new Uint8Array(firstRows);
  /** Form of DW_AT_name, DW_AT_type and DW_AT_location, 0 where it is absent; then from where to count, and how far. */
  nameForm = new Uint16Array(firstRows);
  nameAt = new Int32Array(firstRows);
  typeForm = new Uint16Array(firstRows);
  typeBase = new Uint8Array(firstRows);
  typeAt = new Int32Array(firstRows);
  locationForm = new Uint16Array(firstRows);
  locationBase = new Uint8Array(firstRows);
  locationAt = new Int32Array(firstRows);
  /**
   * Where the constant lies, plus one, and its length, for entries that have one constant only and that of a fixed length: the
   * offset of a member, the size of a struct, the value of an enumerator. 0 where there is none, -1 for all other cases.
   */
  constantAt = new Int32Array(firstRows);
  constantBytes = new Uint8Array(firstRows);
  /** Attributes of a row: from firstAttribute[row] to firstAttribute[row + 1]. */
  firstAttribute = new Uint32Array(firstRows + 1);
  attributeSlot = new Uint8Array(firstAttributes);
  attributeForm = new Uint16Array(firstAttributes);
  /** Bytes of the value, or a negative number of `step`. */
  attributeBytes = new Int8Array(firstAttributes);
  /** Where in .debug_abbrev the value of an implicit_const lies. */
  implicitAt = new Uint32Array(firstAttributes);

  /** Row of a code, 0 if there is none. */
  rowOf(code: number): number {
    return (code < this.rowByCode.length ? this.rowByCode[code] : this.#rowByLargeCode.get(code)) ?? 0;
  }

  /** Reads the table at an offset; returns the offset after it. Throws BadInput. */
  compile(section: Buffer, offset: number, format: UnitFormat): number {
    this.rowByCode.fill(0);
    this.#rowByLargeCode.clear();
    const reader = new LebReader(section, offset);
    let row = 0;
    let attributes = 0;
    for (let code = reader.unsigned(); code !== 0; code = reader.unsigned()) {
      row += 1;
      if (row > maxRows) throw reader.refusal(`more than ${maxRows} abbreviations in one table`);
      if (row + 1 >= this.tag.length) this.#growRows();
      this.#setRow(code, row);
      this.tag[row] = Math.min(0xffff, reader.unsigned());
      this.hasChildren[row] = reader.byte();
      this.firstAttribute[row] = attributes;
      attributes = this.#attributes(reader, row, attributes, format);
    }
    this.rows = row;
    this.weight = row + attributes;
    this.firstAttribute[row + 1] = attributes;
    return reader.at;
  }

  /** Reads the attributes of a row; returns how many there are now. */
  #attributes(reader: LebReader, row: number, from: number, format: UnitFormat): number {
    this.declared[row] = 0;
    this.external[row] = 0;
    this.standsFor[row] = 0;
    this.nameForm[row] = 0;
    this.typeForm[row] = 0;
    this.locationForm[row] = 0;
    this.constantAt[row] = 0;
    let attributes = from;
    let least = 0;
    let origin: number = base.entry;
    let distance = 0;
    let fixed = true;
    for (;;) {
      const attribute = reader.unsigned();
      const formCode = reader.unsigned();
      if (attribute === 0 && formCode === 0) break;
      if (attributes >= this.attributeSlot.length) this.#growAttributes(reader);
      const size = sizeOfForm(formCode, format);
      if (size < step.indirect) throw noSize(reader, size, formCode);
      const place = slotOf(attribute);
      this.attributeSlot[attributes] = place;
      this.attributeForm[attributes] = formCode;
      this.attributeBytes[attributes] = size;
      if (formCode === form.implicitConst) {
        this.implicitAt[attributes] = reader.at;
        reader.unsigned();
      }
      attributes += 1;
      if (place !== slot.none) this.#note(row, place, formCode, origin, distance);
      if (size >= 0) {
        least += size;
        distance += size;
      } else {
        fixed = false;
        // gcc writes names of up to three letters into the entry: what follows lies at a fixed distance from their end
        origin = origin === base.entry && place === slot.name && formCode === form.string ? base.nameEnd : base.unknown;
        distance = 0;
      }
    }
    this.fixedBytes[row] = fixed ? least : -1;
    this.leastBytes[row] = least;
    return attributes;
  }

  #note(row: number, place: number, formCode: number, from: number, distance: number): void {
    if (place === slot.name) {
      if (this.nameForm[row] !== 0) return;
      this.nameForm[row] = formCode;
      this.nameAt[row] = from === base.entry ? distance : -1;
    } else if (place === slot.type) {
      if (this.typeForm[row] !== 0) return;
      this.typeForm[row] = formCode;
      this.typeBase[row] = from;
      this.typeAt[row] = distance;
    } else if (place === slot.location) {
      if (this.locationForm[row] !== 0) return;
      this.locationForm[row] = formCode;
      this.locationBase[row] = from;
      this.locationAt[row] = distance;
    } else if (place === slot.declaration) {
      this.declared[row] = 1;
    } else if (place === slot.external) {
      this.external[row] = 1;
    } else if (place === slot.signature) {
      this.standsFor[row] = 1;
    } else {
      const bytes = formCode === form.data1 ? 1 : formCode === form.data2 ? 2 : formCode === form.data4 ? 4 : 0;
      const isOnly = bytes > 0 && from === base.entry && this.constantAt[row] === 0;
      this.constantAt[row] = isOnly ? distance + 1 : -1;
      this.constantBytes[row] = bytes;
    }
  }

  #setRow(code: number, row: number): void {
    if (code >= maxDenseCode) {
      this.#rowByLargeCode.set(code, row);
      return;
    }
    if (code >= this.rowByCode.length)
      this.rowByCode = grown(this.rowByCode, new Uint32Array(2 ** Math.ceil(Math.log2(code + 1))));
    this.rowByCode[code] = row;
  }

  #growRows(): void {
    const rows = this.tag.length * 2;
    this.tag = grown(this.tag, new Uint16Array(rows));
    this.hasChildren = grown(this.hasChildren, new Uint8Array(rows));
    this.fixedBytes = grown(this.fixedBytes, new Int32Array(rows));
    this.leastBytes = grown(this.leastBytes, new Uint32Array(rows));
    this.declared = grown(this.declared, new Uint8Array(rows));
    this.external = grown(this.external, new Uint8Array(rows));
    this.standsFor = grown(this.standsFor, new Uint8Array(rows));
    this.nameForm = grown(this.nameForm, new Uint16Array(rows));
    this.nameAt = grown(this.nameAt, new Int32Array(rows));
    this.typeForm = grown(this.typeForm, new Uint16Array(rows));
    this.typeBase = grown(this.typeBase, new Uint8Array(rows));
    this.typeAt = grown(this.typeAt, new Int32Array(rows));
    this.locationForm = grown(this.locationForm, new Uint16Array(rows));
    this.locationBase = grown(this.locationBase, new Uint8Array(rows));
    this.locationAt = grown(this.locationAt, new Int32Array(rows));
    this.constantAt = grown(this.constantAt, new Int32Array(rows));
    this.constantBytes = grown(this.constantBytes, new Uint8Array(rows));
    this.firstAttribute = grown(this.firstAttribute, new Uint32Array(rows + 1));
  }

  #growAttributes(reader: LebReader): void {
    if (this.attributeSlot.length >= maxAttributes)
      throw reader.refusal(`more than ${maxAttributes} attributes in one table`);
    const attributes = this.attributeSlot.length * 2;
    this.attributeSlot = grown(this.attributeSlot, new Uint8Array(attributes));
    this.attributeForm = grown(this.attributeForm, new Uint16Array(attributes));
    this.attributeBytes = grown(this.attributeBytes, new Int8Array(attributes));
    this.implicitAt = grown(this.implicitAt, new Uint32Array(attributes));
  }
}

function noSize(reader: LebReader, size: number, formCode: number): BadInput {
  if (size !== elsewhere) return reader.refusal(`the form 0x${formCode.toString(16)} is unknown`);
  const problem =
    'the debug information is shared with a supplementary file (dwz -m): give a file that holds all of it';
  return reader.refusal(problem, 'unsupported');
}

function grown<T extends Uint8Array | Int8Array | Uint16Array | Uint32Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** Reads .debug_abbrev from an offset on; BadInput at its end. */
class LebReader {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  byte(): number {
    const value = this.#bytes[this.at];
    if (value === undefined) throw this.refusal('the table has no end');
    this.at += 1;
    return value;
  }

  /** What has more than 42 bits becomes an arbitrary number above: no code, attribute or form is that large. */
  unsigned(): number {
    const first = this.#bytes[this.at];
    if (first !== undefined && first < 0x80) {
      this.at += 1;
      return first;
    }
    return this.#longer();
  }

  #longer(): number {
    let value = this.byte() & 0x7f;
    for (let factor = 2 ** 7; ; factor *= 2 ** 7) {
      const next = this.byte();
      if (factor < 2 ** 42) value += (next & 0x7f) * factor;
      else if (next & 0x7f) value = 2 ** 50;
      if (next < 0x80) return value;
      if (factor > 2 ** 100) throw this.refusal('a number has no end');
    }
  }

  refusal(problem: string, kind?: 'damaged' | 'unsupported'): BadInput {
    return new BadInput(`.debug_abbrev at 0x${this.at.toString(16)}`, problem, kind);
  }
}
