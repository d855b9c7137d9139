import { createHash } from 'node:crypto';
import type { SymbolCache } from './cache/cache.ts';
import { type CacheEntry, isTold } from './cache/entry.ts';

const pieceBytes = 64 << 10;
/** Nodes tell half of it at most; what somebody imported may have more. */
const longestBanner = 8 << 10;
/** Stands for the host that is asked: neither base64 nor a digest has it. */
const anyHost = '*';

/** An index whose URLs are of one host. */
export interface HostIndex {
  readonly sizeBytes: number;
  read(): Iterable<Buffer>;
}

interface Made {
  /** The cache's count of changes that it is of. */
  readonly changeCount: number;
  readonly pieces: readonly string[];
  readonly sizeBytes: number;
  readonly urls: number;
}

/**
 * The ISFs that a cache offers, by banner: made once per change of the cache and shared by all who ask, under whatever
 * name of the host. Each of them gets it a piece at a time.
 */
export class BannerIndex {
  readonly #cache: SymbolCache;
  #made: Made | undefined;

  constructor(cache: SymbolCache) {
    this.#cache = cache;
  }

  /** Returns the index as JSON for an ASCII `host` or `host:port`; it stays as it is if the cache changes meanwhile. */
  of(host: string): HostIndex {
    const { changeCount } = this.#cache;
    if (this.#made?.changeCount !== changeCount) this.#made = { changeCount, ...make(this.#cache) };
    const { pieces, sizeBytes, urls } = this.#made;
    return {
      sizeBytes: sizeBytes + urls * (host.length - anyHost.length),
      *read() {
        for (const piece of pieces) yield Buffer.from(piece.split(anyHost).join(host), 'latin1');
      },
    };
  }
}

/** Every banner that an ISF is offered under. */
export function namesOf({ banner, imageBanners = [] }: CacheEntry): readonly string[] {
  return [...new Set([banner, ...imageBanners])];
}

/** A path for each banner of an ISF: Volatility's cache takes each URL under one banner only. */
export function pathOf({ sha256, banner }: CacheEntry, name: string): string {
  const digest = name === banner ? '' : `-${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
  return `/isf/${sha256}${digest}.json`;
}

/** Version 1 of RemoteIdentifierFormat in volatility3.framework.automagic.symbol_cache: its URLs have to be absolute. */
function make(cache: SymbolCache): Omit<Made, 'changeCount'> {
  const pieces: string[] = [];
  let [sizeBytes, urls] = [0, 0];
  let piece = '{"version":1,"linux":{';
  let separator = '';
  const end = () => {
    pieces.push(piece);
    sizeBytes += piece.length;
    piece = '';
  };
  for (const [name, paths] of pathsOf(cache)) {
    // The whole text of linux_banner with its line end, for which Volatility scans an image.
    const text = Buffer.from(`${name}\n\0`).toString('base64');
    piece += `${separator}"${text}":${JSON.stringify(paths.map((path) => `http://${anyHost}${path}`))}`;
    urls += paths.length;
    separator = ',';
    if (piece.length >= pieceBytes) end();
  }
  piece += '},"mac":{},"windows":{}}';
  end();
  return { pieces, sizeBytes, urls };
}

/**
 * Yields each banner that something is offered under, with its paths. One from a kernel's file goes before one that a
 * node told or an image had.
 */
function* pathsOf(cache: SymbolCache): Generator<readonly [name: string, paths: readonly string[]]> {
  const byName = new Map<string, CacheEntry[]>();
  for (const { entry } of cache.list()) {
    for (const name of namesOf(entry)) {
      const same = byName.get(name);
      if (same === undefined) byName.set(name, [entry]);
      else same.push(entry);
    }
  }
  for (const [name, same] of byName) {
    const sound = same.filter((entry) => !isTold(entry));
    const own = sound.filter(({ banner }) => banner === name);
    const trusted = own.length > 0 ? own : sound.length > 0 ? sound : agreed(same);
    if (trusted.length > 0 && Buffer.byteLength(name) <= longestBanner)
      yield [name, [...new Set(trusted.map((entry) => pathOf(entry, name)))]];
  }
}

/** All entries when they have one ISF, else none: one of the nodes lies, and from here nobody can tell which. */
function agreed(entries: readonly CacheEntry[]): readonly CacheEntry[] {
  return new Set(entries.map(({ sha256 }) => sha256)).size === 1 ? entries : [];
}
