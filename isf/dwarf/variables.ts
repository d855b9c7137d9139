import type { AbbreviationTable } from './abbreviations.ts';
import type { Unit } from './unit.ts';

/** Gathers the variables during the survey. */
export interface Variables {
  /** Whether entries of this abbreviation, all of them variables, are to be noted. */
  wants(table: AbbreviationTable, row: number): boolean;
  /** `at` is where the entry's values begin. Throws BadInput. */
  note(unit: Unit, entryAt: number, at: number, row: number): void;
}
