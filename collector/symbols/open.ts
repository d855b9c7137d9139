import { confineBy } from './confine.ts';
import { SymbolSearch } from './find.ts';
import { createBucketSource } from './remote/bucket.ts';
import { createCosSource } from './remote/cos.ts';
import { createDebuginfodSource } from './remote/debuginfod.ts';
import { createDirectorySource } from './sources/directory.ts';
import { createDwarf2json } from './sources/dwarf2json.ts';
import { type AskNode, createNodeSource } from './sources/node.ts';
import { remoteSource } from './sources/remote.ts';
import type { SymbolsEnd } from './symbols.ts';

/** The operator's choices. */
export interface SymbolChoices {
  readonly symbolDirs: readonly string[];
  readonly symbolCacheBytes: number;
  readonly symbolBuckets: readonly string[];
  readonly cosUrl: string;
  readonly debuginfodUrls: readonly string[];
  readonly dwarf2json: string;
  readonly python: string;
}

/** Opens the cache and sets up the sources, in the order in which they are asked. Throws Fault storage_failed. */
export async function openSymbols(
  cacheDir: string,
  choices: SymbolChoices,
  ask: AskNode,
  ended: (end: SymbolsEnd['kind'], seconds: number) => void,
): Promise<SymbolSearch> {
  const { symbolDirs, symbolCacheBytes, symbolBuckets, cosUrl, debuginfodUrls, dwarf2json } = choices;
  const confine = confineBy(choices.python);
  const urls = (texts: readonly string[]): URL[] => texts.map((text) => new URL(text));
  return await SymbolSearch.open({
    cacheDir,
    ended,
    confine,
    cacheLimitBytes: symbolCacheBytes,
    firstDirectory: symbolDirs[0],
    sources: [
      createDirectorySource(symbolDirs),
      remoteSource('bucket', symbolBuckets.length === 0 ? undefined : createBucketSource(urls(symbolBuckets))),
      remoteSource('cos', cosUrl === '' ? undefined : createCosSource(new URL(cosUrl))),
      remoteSource(
        'debuginfod',
        debuginfodUrls.length === 0 ? undefined : createDebuginfodSource(urls(debuginfodUrls)),
      ),
      createNodeSource(ask),
      createDwarf2json(dwarf2json, confine),
    ],
  });
}
