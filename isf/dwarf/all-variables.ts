import type { AbbreviationTable } from './abbreviations.ts';
import { form } from './codes.ts';
import type { DebugSections } from './debug-sections.ts';
import { Entry } from './entry.ts';
import { LastSeen } from './last-seen.ts';
import type { Unit } from './unit.ts';
import type { Variables } from './variables.ts';

/** The variables as dwarf2json takes them: the last of each name, be it local to a function or only declared. */
export class AllVariables implements Variables {
  readonly #entry: Entry;
  /** By number of name. */
  readonly last = new LastSeen();

  constructor(sections: DebugSections) {
    this.#entry = new Entry(sections);
  }

  wants(table: AbbreviationTable, row: number): boolean {
    const type = table.typeForm[row];
    return table.nameForm[row] !== 0 && type !== 0 && type !== form.refSig8;
  }

  note(unit: Unit, entryAt: number, at: number, row: number): void {
    this.last.raise(0, this.#entry.nameOf(unit, entryAt, at, row), unit.start + entryAt);
  }
}
