import { BadInput } from '../bad-input.ts';
import { AbbreviationTable } from './abbreviations.ts';
import type { UnitFormat } from './codes.ts';

/** Enough for files whose units share tables or refer to each other; the units of a kernel come one after the other. */
const keptTables = 128;
const keptWeight = 1 << 20;
const reusableWeight = 1 << 13;

/** The tables of .debug_abbrev, each compiled when a unit needs it; the latest are kept, and older ones are overwritten. */
export class AbbreviationTables {
  readonly #section: Buffer;
  readonly #kept = new Map<string, AbbreviationTable>();
  #weight = 0;
  /** Hostile files let many units begin in the middle of one long table: what may be compiled in all is bounded. */
  #bytesLeft: number;

  constructor(section: Buffer) {
    this.#section = section;
    this.#bytesLeft = 64 * section.length + (8 << 20);
  }

  get section(): Buffer {
    return this.#section;
  }

  /** The table is good for as long as its key stays what it is. Throws BadInput. */
  at(offset: number, format: UnitFormat): AbbreviationTable {
    const key = `${offset} ${format.offsetBytes} ${format.addressBytes} ${format.version === 2}`;
    const known = this.#kept.get(key);
    if (known) return known;
    if (offset >= this.#section.length) {
      throw new BadInput(
        '.debug_abbrev',
        `a unit wants the table at 0x${offset.toString(16)}, beyond the section's end`,
      );
    }
    const table = this.#recycled() ?? new AbbreviationTable();
    const end = table.compile(this.#section, offset, format);
    this.#bytesLeft -= end - offset;
    if (this.#bytesLeft < 0) {
      throw new BadInput('.debug_abbrev', 'the tables overlap so much that reading them would not end');
    }
    table.key = key;
    this.#weight += table.weight;
    this.#kept.set(key, table);
    return table;
  }

  #recycled(): AbbreviationTable | undefined {
    if (this.#kept.size < keptTables && this.#weight < keptWeight) return undefined;
    const [oldest] = this.#kept;
    if (!oldest) return undefined;
    const [key, table] = oldest;
    this.#kept.delete(key);
    this.#weight -= table.weight;
    table.key = '';
    return table.weight < reusableWeight ? table : undefined;
  }
}
