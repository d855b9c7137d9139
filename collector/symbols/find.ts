import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { SymbolCache } from './cache/cache.ts';
import {
  bannerKey,
  type CacheEntry,
  isBannerKey,
  type KeptSymbols,
  kernelKey,
  nodeKey,
  toldKey,
} from './cache/entry.ts';
import type { Confine } from './confine.ts';
import { Lookups } from './lookups.ts';
import { NegativeCache } from './negative-cache.ts';
import { isBannerOf, isSameKernel } from './same-kernel.ts';
import { SingleFlight } from './single-flight.ts';
import { type ListedSource, type NotFound, nothing } from './sources/source.ts';
import { KernelStatus, Statuses } from './statuses.ts';
import {
  identityOf,
  type KernelIdentity,
  type Symbols,
  type SymbolsEnd,
  type SymbolsReady,
  type SymbolsStatus,
} from './symbols.ts';
import { contradiction, take } from './take.ts';

/** Where symbols are kept and looked for. */
export interface SymbolSettings {
  readonly cacheDir: string;
  readonly cacheLimitBytes: number;
  /** Named in advice; undefined when there is none. */
  readonly firstDirectory: string | undefined;
  /** In the order in which they are asked. */
  readonly sources: readonly ListedSource[];
  /** For the builder, which reads what others wrote. */
  readonly confine: Confine;
  /** True for symbols whose kernel another node than the one that sent them runs now. */
  isRunElsewhere?(entry: CacheEntry): boolean;
  /** Told how each search ended, and how long it took. */
  ended?(end: SymbolsEnd['kind'], seconds: number): void;
}

/** One search. */
interface Wanted {
  readonly kernel: KernelIdentity;
  /** As `searchId` has it. */
  readonly id: string;
  readonly again: boolean;
  readonly status: KernelStatus;
  readonly signal: AbortSignal;
}

/** What its sources work with, and what they leave to the next. */
interface Work extends Wanted {
  readonly scratchPath: string;
  readonly refusedElfs: string[];
  /** Kept symbols of the kernel, which a source may better. */
  readonly usable: CacheEntry | undefined;
  readonly lookups: Lookups;
}

/** Searches that run side by side; most of them wait for a network. */
const searchesAtOnce = 16;

/** The search for kernels' symbols, and what is known of each kernel. */
export class SymbolSearch implements Symbols {
  readonly cache: SymbolCache;
  readonly #settings: SymbolSettings;
  readonly #remembered: NegativeCache;
  readonly #statuses = new Statuses();
  readonly #searches = new SingleFlight<SymbolsEnd>(searchesAtOnce);
  readonly #builds = new SingleFlight<unknown>(1);

  private constructor(settings: SymbolSettings, cache: SymbolCache) {
    this.#settings = settings;
    this.cache = cache;
    this.#remembered = new NegativeCache(join(settings.cacheDir, 'remembered.json'));
  }

  /** Opens the cache. Throws Fault storage_failed. */
  static async open(settings: SymbolSettings): Promise<SymbolSearch> {
    const { cacheDir, cacheLimitBytes, isRunElsewhere } = settings;
    return new SymbolSearch(settings, await SymbolCache.open(cacheDir, cacheLimitBytes, isRunElsewhere));
  }

  async find(told: KernelIdentity, signal: AbortSignal, { again = false } = {}): Promise<SymbolsEnd> {
    signal.throwIfAborted();
    const kernel = identityOf(told);
    const id = searchId(kernel);
    if (again) await this.#remembered.forget(id);
    const work = (shared: AbortSignal) => this.#recorded({ kernel, id, again, signal: shared });
    return await this.#searches.run(again ? `${id} again` : id, work, signal);
  }

  /** What is known of a kernel now, without looking anywhere. */
  status(kernel: KernelIdentity): SymbolsStatus {
    const status = this.#statuses.get(searchId(kernel));
    // What was ready may have been evicted, and what was missing may have been imported.
    const kept = this.kept(kernel)?.entry;
    if (status?.state.kind === 'building' || (status !== undefined && status.state.kind !== 'ready' && !kept))
      return status;
    if (status !== undefined && kept?.key === status.key) return status;
    if (kept !== undefined) return { state: this.ready(kept), reports: [] };
    if (kernel.architecture !== 'x86_64') {
      return { state: { kind: 'unsupported', architecture: kernel.architecture }, reports: [] };
    }
    const advice = 'It is looked for when the node attaches, when a capture is analysed, and by kcorder symbols find.';
    return { state: { kind: 'missing', looked: ['nothing is in the cache'], advice }, reports: [] };
  }

  /** Every kernel that was searched for since the start. */
  kernels(): readonly KernelIdentity[] {
    return this.#statuses.list().map(({ kernel }) => kernel);
  }

  /** What is kept for a kernel and carries its banner, without counting as a use. */
  kept(kernel: KernelIdentity): KeptSymbols | undefined {
    const found = this.#keys(kernel).map((key) => this.cache.peek(key));
    return found.find((kept) => kept !== undefined && isSameKernel(kept.entry, kernel));
  }

  /** Keys under which symbols of a kernel may be kept, the best first. */
  #keys(kernel: KernelIdentity): string[] {
    const byBanner = this.cache
      .list()
      .filter(({ entry }) => isBannerKey(entry.key) && isBannerOf(entry.banner, kernel.banner))
      .map(({ entry }) => entry.key);
    const keys = [kernelKey(kernel), toldKey(kernel), bannerKey(kernel.banner), ...byBanner, nodeKey(kernel) ?? ''];
    return [...new Set(keys)];
  }

  async #recorded(asked: Omit<Wanted, 'status'>): Promise<SymbolsEnd> {
    const { kernel, id, again } = asked;
    const before = this.#statuses.get(id);
    const status = new KernelStatus(kernel, this.#settings.sources);
    this.#statuses.put(id, status);
    const startMs = performance.now();
    try {
      status.state = await this.#search({ ...asked, status });
    } catch (error) {
      this.#statuses.forget(id);
      if (!(error instanceof Fault && error.code === 'storage_failed')) throw error;
      status.state = { kind: 'rejected', detail: error.message };
      this.#statuses.put(id, status);
    }
    // A look into the cache says less than the search that filled it.
    if (!again && before?.state.kind === 'ready' && before.key === status.key) this.#statuses.put(id, before);
    this.#settings.ended?.(status.state.kind, (performance.now() - startMs) / 1000);
    return status.state;
  }

  async #search(wanted: Wanted): Promise<SymbolsEnd> {
    const { kernel, status } = wanted;
    if (kernel.architecture !== 'x86_64') return { kind: 'unsupported', architecture: kernel.architecture };
    const held = await this.#held(kernel);
    const differs = held !== undefined && !isSameKernel(held, kernel);
    const usable = held !== undefined && !differs ? held : undefined;
    status.report('cache', differs ? 'mismatch' : held ? 'found' : 'nothing', held?.source ?? this.#settings.cacheDir);
    if (usable?.quality === 'dwarf') return this.#use(usable, status);
    const lookups = new Lookups();
    lookups.add(nothing(`symbol cache ${this.#settings.cacheDir}: nothing of this kernel`));
    await using scratch = await this.cache.scratch();
    const work: Work = { ...wanted, scratchPath: scratch.path, refusedElfs: [], usable, lookups };
    for (const listed of this.#settings.sources) {
      if (held !== undefined && listed.whenKept !== 'always') {
        if (differs) return { kind: 'mismatch', detail: contradiction(held, kernel).detail };
        if (usable !== undefined && (!wanted.again || listed.whenKept === 'never')) return this.#use(usable, status);
      }
      const end = await this.#ask(listed, work);
      if (end !== undefined) return end;
    }
    return usable !== undefined ? this.#use(usable, status) : lookups.end(kernel, this.#settings.firstDirectory);
  }

  /** Asks one source; the end of the search if it has what is needed, or what contradicts all others. */
  async #ask(listed: ListedSource, work: Work): Promise<SymbolsEnd | undefined> {
    const { name, source } = listed;
    const { kernel, status, scratchPath, refusedElfs, usable, signal } = work;
    if (source === undefined) return undefined;
    const known = this.#remembered.get(name, work.id);
    if (known !== undefined) {
      const { answer, askedAt, until } = known;
      work.lookups.add(answer);
      status.remembered(name, stateOf(answer), answer.looked.join('; '), askedAt, until);
      return undefined;
    }
    status.report(name, 'asking', '');
    status.step(`asking ${name}`);
    const progress = (done: number, total: number) => status.step(`fetching from ${name}`, done, total);
    const answer = await source.seek(kernel, { scratchPath, refusedElfs, progress, signal });
    if (answer.kind === 'nothing') return await this.#note(listed, answer, 'nothing', work);
    if (answer.kind === 'isf' && answer.origin !== undefined && answer.origin === usable?.origin) {
      status.report(name, 'found', answer.from);
      return this.#use(usable, status);
    }
    status.step(`building from ${answer.from}`);
    const { confine } = this.#settings;
    const deps = { cache: this.cache, builds: this.#builds, scratchPath, confine, signal };
    const taken = await take(name, answer, kernel, deps);
    switch (taken.kind) {
      case 'kept': {
        status.report(name, 'found', answer.from);
        // A file that was changed in its place: what it held before must not be found instead.
        if (usable !== undefined && usable.origin !== '' && usable.source === answer.from) {
          if (usable.pinned) await this.cache.pin(taken.entry.key, true);
          if (usable.key !== taken.entry.key) await this.cache.remove(usable.key);
        }
        return this.#use(taken.entry, status);
      }
      case 'contradiction':
        status.report(name, 'mismatch', taken.detail);
        return { kind: 'mismatch', detail: taken.detail };
      case 'failed':
        status.report(name, 'failed', taken.detail);
        return {
          kind: 'rejected',
          detail: `${taken.detail}; see to the collector's disk and memory, then look again with 'kcorder symbols find'`,
        };
      case 'refused_elf':
        refusedElfs.push(taken.path);
        return await this.#note(listed, taken.nothing, 'refused', work);
      case 'nothing':
        return await this.#note(listed, taken.nothing, 'refused', work);
    }
  }

  /** Notes that a source had nothing, or only what nobody can use; remembers it where that is worth it. */
  async #note(
    { name, remembers }: ListedSource,
    answer: NotFound,
    how: 'nothing' | 'refused',
    { id, status, lookups }: Work,
  ): Promise<undefined> {
    lookups.add(answer);
    const detail = answer.looked.join('; ');
    if (remembers !== 'nothing' && remembers !== how) status.report(name, stateOf(answer), detail);
    else {
      const { askedAt, until } = await this.#remembered.put(name, id, answer);
      status.remembered(name, stateOf(answer), detail, askedAt, until);
    }
  }

  /** Kept symbols of a kernel, or else those that claim to be. */
  async #held(kernel: KernelIdentity): Promise<CacheEntry | undefined> {
    let other: CacheEntry | undefined;
    for (const key of this.#keys(kernel)) {
      const entry = await this.cache.use(key);
      if (entry === undefined) continue;
      // The build-id of a kernel's own file is no claim: whoever contradicts it finds nothing else.
      if (isSameKernel(entry, kernel) || entry.quality === 'dwarf') return entry;
      other ??= entry;
    }
    return other;
  }

  #use(entry: CacheEntry, status: KernelStatus): SymbolsReady {
    status.key = entry.key;
    return this.ready(entry);
  }

  /** Kept symbols as a state. */
  ready(entry: CacheEntry): SymbolsReady {
    const { source, quality, sha256 } = entry;
    return { kind: 'ready', isfPath: this.cache.isfPath(entry), source, quality, isfSha256: sha256 };
  }
}

function stateOf({ mismatch, rejected, transient }: NotFound): 'nothing' | 'failed' | 'mismatch' | 'rejected' {
  if (mismatch !== undefined) return 'mismatch';
  if (rejected !== undefined) return 'rejected';
  return transient === true ? 'failed' : 'nothing';
}

/** Nodes whose kernels agree in all that a search goes by share it. */
function searchId({ buildId, banner, release, architecture, cosBuildId, typesDigest }: KernelIdentity): string {
  const facts = [buildId, banner, release, architecture, cosBuildId, typesDigest ?? ''];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}
