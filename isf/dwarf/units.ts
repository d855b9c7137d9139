import { BadInput } from '../bad-input.ts';
import type { ByteSource } from '../byte-source.ts';
import { AbbreviationTables } from './abbreviation-tables.ts';
import { slot } from './codes.ts';
import type { DebugSections } from './debug-sections.ts';
import { Entry } from './entry.ts';
import { ReusedBuffer } from './reused-buffer.ts';
import { maxHeaderBytes, place, readUnitHeader, splitDwarf, type Unit, unitBytes } from './unit.ts';

/** Units of a kernel have up to 2 MB. */
const maxUnitBytes = 64 << 20;
const maxUnits = 1 << 20;
const windowBytes = 2 << 20;
/** Units that are kept for types that refer to one another across units (link-time optimisation, dwz, type units). */
const keptUnits = 16;
const keptBytes = 32 << 20;
const rust = 0x1c;

/**
 * The units of .debug_info and, behind them in one space of offsets, of .debug_types. First `walk` goes through all of them;
 * then any can be had by an offset in it. Throws BadInput.
 */
export class Units {
  readonly #sections: DebugSections;
  readonly #tables: AbbreviationTables;
  readonly #entry: Entry;
  #starts = new Uint32Array(64);
  #sizes = new Uint32Array(64);
  #count = 0;
  readonly #kept = new Map<number, { readonly unit: Unit; readonly buffer: ReusedBuffer }>();
  #latest: Unit | undefined;

  constructor(sections: DebugSections) {
    this.#sections = sections;
    this.#tables = new AbbreviationTables(sections.abbreviations);
    this.#entry = new Entry(sections);
  }

  /** Every unit once, in order, but those in Rust: their types have the names of C types and another meaning. */
  *walk(): Generator<Unit> {
    yield* this.#walkSection(this.#sections.info, 0, false);
    yield* this.#walkSection(this.#sections.types, this.#sections.info.sizeBytes, true);
  }

  /** The unit that an offset lies in; good until the next call. */
  at(offset: number): Unit {
    const latest = this.#latest;
    if (latest && offset >= latest.start && offset < latest.start + latest.bytes.length) return this.#withTable(latest);
    const index = this.#indexOf(offset);
    const start = this.#starts[index] as number;
    const unit = this.#kept.get(start)?.unit ?? this.#load(start, this.#sizes[index] as number);
    this.#latest = unit;
    return this.#withTable(unit);
  }

  #load(start: number, size: number): Unit {
    const buffer = this.#freeBuffer() ?? new ReusedBuffer();
    const inTypes = start >= this.#sections.info.sizeBytes;
    const source = inTypes ? this.#sections.types : this.#sections.info;
    const bytes = buffer.read(source, inTypes ? start - this.#sections.info.sizeBytes : start, size);
    const { unit } = this.#open(bytes, start, inTypes);
    this.#kept.set(start, { unit, buffer });
    return unit;
  }

  /** That of the unit that was loaded first, once enough are kept. */
  #freeBuffer(): ReusedBuffer | undefined {
    let free: ReusedBuffer | undefined;
    let bytes = 0;
    for (const { buffer } of this.#kept.values()) bytes += buffer.sizeBytes;
    for (const [start, { buffer }] of this.#kept) {
      if (this.#kept.size < keptUnits && bytes <= keptBytes) break;
      this.#kept.delete(start);
      bytes -= buffer.sizeBytes;
      free = buffer;
    }
    return free;
  }

  *#walkSection(source: ByteSource, from: number, inTypes: boolean): Generator<Unit> {
    const buffer = new ReusedBuffer();
    let window: Buffer = Buffer.alloc(0);
    let windowAt = 0;
    for (let at = 0; at < source.sizeBytes; ) {
      if (at + maxHeaderBytes > windowAt + window.length && windowAt + window.length < source.sizeBytes) {
        window = buffer.read(source, at, Math.min(windowBytes, source.sizeBytes - at));
        windowAt = at;
      }
      const size = unitBytes(window.subarray(at - windowAt, at - windowAt + 12), from + at);
      if (size === 4) {
        at += 4;
        continue;
      }
      if (at + size > source.sizeBytes)
        throw new BadInput(place({ start: from }, at), "the unit goes beyond the section's end");
      if (size > maxUnitBytes) {
        throw new BadInput(place({ start: from }, at), `a unit of ${size} bytes is too large`, 'unsupported');
      }
      if (at + size > windowAt + window.length) {
        window = buffer.read(source, at, Math.min(source.sizeBytes - at, Math.max(size, windowBytes)));
        windowAt = at;
      }
      const { unit, isRust } = this.#open(window.subarray(at - windowAt, at - windowAt + size), from + at, inTypes);
      this.#register(unit);
      if (!isRust) yield unit;
      at += size;
    }
  }

  #open(bytes: Buffer, start: number, inTypes: boolean): { unit: Unit; isRust: boolean } {
    const header = readUnitHeader(bytes, start, inTypes);
    const table = this.#tables.at(header.abbreviationsAt, header.format);
    const unit: Unit = { ...header, table, tableKey: table.key, strOffsetsBase: 0, addrBase: 0 };
    if (unit.entriesAt >= bytes.length || !this.#entry.read(unit, unit.entriesAt)) return { unit, isRust: false };
    if (this.#entry.has(slot.splitName)) throw splitDwarf(start, unit.entriesAt);
    unit.strOffsetsBase = this.#entry.constant(slot.strOffsetsBase) ?? 0;
    unit.addrBase = this.#entry.constant(slot.addrBase) ?? 0;
    return { unit, isRust: this.#entry.constant(slot.language) === rust };
  }

  #register(unit: Unit): void {
    if (this.#count === this.#starts.length) {
      if (this.#count >= maxUnits) throw new BadInput('.debug_info', `more than ${maxUnits} units`, 'unsupported');
      const starts = new Uint32Array(this.#count * 2);
      const sizes = new Uint32Array(this.#count * 2);
      starts.set(this.#starts);
      sizes.set(this.#sizes);
      this.#starts = starts;
      this.#sizes = sizes;
    }
    this.#starts[this.#count] = unit.start;
    this.#sizes[this.#count] = unit.bytes.length;
    this.#count += 1;
    if (unit.signature !== undefined) this.#sections.signatures.set(unit.signature, unit.start + unit.typeAt);
  }

  #indexOf(offset: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] as number) <= offset) low = middle + 1;
      else high = middle;
    }
    const index = low - 1;
    if (index < 0 || offset >= (this.#starts[index] as number) + (this.#sizes[index] as number)) {
      throw new BadInput('.debug_info', `a reference leads to 0x${offset.toString(16)}, where no unit is`);
    }
    return index;
  }

  /** Its table may have been overwritten by that of another unit meanwhile. */
  #withTable(unit: Unit): Unit {
    if (unit.table.key !== unit.tableKey) unit.table = this.#tables.at(unit.abbreviationsAt, unit.format);
    return unit;
  }
}
