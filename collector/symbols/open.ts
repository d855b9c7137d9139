import { confineBy } from './confine.ts';
import { SymbolSearch } from './find.ts';
import type { AskNode } from './sources/node.ts';
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
  ask: AskNode,
  ended: (end: SymbolsEnd['kind'], seconds: number) => void,
): Promise<SymbolSearch> {
  const confine = confineBy(choices.python);
  return await SymbolSearch.open({
    cacheDir,
    ended,
    confine,
    cacheLimitBytes: choices.symbolCacheBytes,
    firstDirectory: choices.symbolDirs[0],
    sources: createSources(choices, { ask, confine }),
  });
}
