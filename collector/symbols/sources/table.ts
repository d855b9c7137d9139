import type { Confine } from '../confine.ts';
import { createBucketSource } from './bucket.ts';
import { createCosSource } from './cos.ts';
import { createDebuginfodSource } from './debuginfod.ts';
import { createDirectorySource } from './directory.ts';
import { createDwarf2json } from './dwarf2json.ts';
import { type AskNode, createNodeSource } from './node.ts';
import type { ListedSource, SourceTraits, SymbolSource } from './source.ts';

/** The operator's choices, as in Config: an empty one turns its source off. */
export interface SourceSettings {
  readonly symbolDirs: readonly string[];
  readonly symbolBuckets: readonly string[];
  readonly cosUrl: string;
  readonly debuginfodUrls: readonly string[];
  readonly dwarf2json: string;
}

/** What sources work with besides their setting. */
export interface SourceDeps {
  readonly ask: AskNode;
  readonly confine: Confine;
}

/** A source that can be made. */
export interface SourceRow extends SourceTraits {
  /** What turns it on; undefined: it is always on. */
  readonly setting: keyof SourceSettings | undefined;
  create(settings: SourceSettings, deps: SourceDeps): SymbolSource;
}

const urls = (texts: readonly string[]): URL[] => texts.map((text) => new URL(text));

/** Every source, in the order in which they are asked after the cache. */
export const sourceTable: readonly SourceRow[] = [
  {
    name: 'directory',
    setting: 'symbolDirs',
    // What lies there may have changed.
    whenKept: 'always',
    remembers: 'none',
    create: ({ symbolDirs }) => createDirectorySource(symbolDirs),
  },
  {
    name: 'bucket',
    setting: 'symbolBuckets',
    whenKept: 'again',
    remembers: 'nothing',
    create: ({ symbolBuckets }) => createBucketSource(urls(symbolBuckets)),
  },
  {
    name: 'cos',
    setting: 'cosUrl',
    whenKept: 'again',
    remembers: 'nothing',
    create: ({ cosUrl }) => createCosSource(new URL(cosUrl)),
  },
  {
    name: 'debuginfod',
    setting: 'debuginfodUrls',
    whenKept: 'again',
    remembers: 'nothing',
    create: ({ debuginfodUrls }) => createDebuginfodSource(urls(debuginfodUrls)),
  },
  {
    name: 'node',
    setting: undefined,
    whenKept: 'never',
    // What a node sends has a digest: sent again, it is refused again.
    remembers: 'refused',
    create: (_settings, { ask }) => createNodeSource(ask),
  },
  {
    name: 'dwarf2json',
    setting: 'dwarf2json',
    whenKept: 'again',
    remembers: 'none',
    create: ({ dwarf2json }, { confine }) => createDwarf2json(dwarf2json, confine),
  },
];

/** Makes the sources whose settings are not empty; the others are in the list too, never asked. */
export function createSources(settings: SourceSettings, deps: SourceDeps): ListedSource[] {
  return sourceTable.map(({ name, whenKept, remembers, setting, create }) => {
    const isOn = setting === undefined || settings[setting].length > 0;
    return { name, whenKept, remembers, source: isOn ? create(settings, deps) : undefined };
  });
}
