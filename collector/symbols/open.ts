import { confineBy } from './confine.ts';
import { SymbolSearch } from './find.ts';
import { isRunElsewhere, type Nodes } from './sources/node.ts';
import { createSources, type SourceSettings } from './sources/table.ts';
import type { SymbolsEnd } from './symbols.ts';

/** The operator's choices. */
export interface SymbolChoices extends SourceSettings {
  readonly symbolCacheBytes: number;
  readonly python: string;
}

/** Opens the cache and sets up the sources. Throws Fault storage_failed. */
export async function openSymbols(
  cacheDir: string,
  choices: SymbolChoices,
  nodes: Nodes,
  ended: (end: SymbolsEnd['kind'], seconds: number) => void,
): Promise<SymbolSearch> {
  const confine = confineBy(choices.python);
  return await SymbolSearch.open({
    cacheDir,
    ended,
    confine,
    isRunElsewhere: (entry) => isRunElsewhere(entry, nodes),
    cacheLimitBytes: choices.symbolCacheBytes,
    firstDirectory: choices.symbolDirs[0],
    sources: createSources(choices, { ask: nodes.ask, confine }),
  });
}
