import { form } from './codes.ts';
import type { DebugSections } from './debug-sections.ts';
import type { Entry } from './entry.ts';
import type { Unit } from './unit.ts';

/** Number of the name of an entry, found by its abbreviation where that is possible. `at` is where its values begin. */
export function nameOf(
  sections: DebugSections,
  entry: Entry,
  unit: Unit,
  entryAt: number,
  at: number,
  row: number,
): number {
  const { table, bytes } = unit;
  const distance = table.nameAt[row] as number;
  const code = table.nameForm[row] as number;
  if (distance >= 0) {
    if (code === form.strp && unit.format.offsetBytes === 4)
      return sections.names.at(bytes.readUInt32LE(at + distance));
    if (code === form.string) return sections.names.inline(bytes, at + distance);
  }
  entry.read(unit, entryAt);
  return entry.name() ?? sections.names.none;
}
