import type { ListedSource, SymbolSource } from '../sources/source.ts';
import { sourceTable } from '../sources/table.ts';

/** A source as the search lists the one of that name. */
export function listed(name: string, source: SymbolSource | undefined): ListedSource {
  const row = sourceTable.find((each) => each.name === name);
  if (row === undefined) throw new Error(`${name} is not in the table of sources`);
  const { whenKept, remembers } = row;
  return { name, whenKept, remembers, source };
}
