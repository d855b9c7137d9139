// Why it is done this way: docs/decisions/014-all-symbols-in-the-cache.md

import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { builderRevision } from '@kcorder/isf/isf.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { isBannerOf } from '../same-kernel.ts';
import { type CacheEntry, type KeptSymbols, parseEntry } from './entry.ts';
import { crowd, surplus } from './eviction.ts';

/** A folder for work in progress, removed with all that is in it. */
export interface Scratch extends AsyncDisposable {
  readonly path: string;
}

/** A use is written down once in so long. */
const touchMs = 60_000;
/** Nodes that share an ISF have images of one banner; if they have more, some of them lie. */
const maxImageBanners = 4;

/**
 * Built symbols on disk: `isf/<SHA-256>.json`, one file for equal content, and `kernels/<key>.json`, which says what it is of. Both appear whole, by rename, the
 * ISF first. `work/` holds what is in progress; what is found there at the start is removed. Errors of the disk are Fault storage_failed.
 */
export class SymbolCache {
  readonly #directory: string;
  readonly #limitBytes: number;
  readonly #isRunElsewhere: (entry: CacheEntry) => boolean;
  readonly #kept = new Map<string, KeptSymbols>();
  #changeCount = 0;
  /** Changes one after the other: an eviction must not meet a file that is just being kept. */
  #changes: Promise<unknown> = Promise.resolve();

  private constructor(directory: string, limitBytes: number, isRunElsewhere: (entry: CacheEntry) => boolean) {
    this.#directory = directory;
    this.#limitBytes = limitBytes;
    this.#isRunElsewhere = isRunElsewhere;
  }

  /**
   * Opens the cache, made when it is not there. Entries without their ISF, ISFs without an entry, what another revision
   * of the builder made and what is over the limits is removed. Symbols that are run elsewhere than on the node that sent
   * them do not make way for others that it sends. Throws Fault storage_failed.
   */
  static async open(
    directory: string,
    limitBytes: number,
    isRunElsewhere: (entry: CacheEntry) => boolean = () => false,
  ): Promise<SymbolCache> {
    const cache = new SymbolCache(directory, limitBytes, isRunElsewhere);
    await cache.#guard('be opened', () => cache.#load());
    return cache;
  }

  get limitBytes(): number {
    return this.#limitBytes;
  }

  /** Bytes of all ISFs; one that serves several kernels counts once. */
  get keptBytes(): number {
    const sizes = new Map([...this.#kept.values()].map(({ entry }) => [entry.sha256, entry.sizeBytes]));
    return [...sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  /** Grows when an entry comes, changes or goes; a use is no change. */
  get changeCount(): number {
    return this.#changeCount;
  }

  list(): readonly KeptSymbols[] {
    return [...this.#kept.values()];
  }

  /** What is kept under a key, without counting as a use. */
  peek(key: string): KeptSymbols | undefined {
    return this.#kept.get(key);
  }

  /** Path of an ISF. */
  isfPath(entry: Pick<CacheEntry, 'sha256'>): string {
    return join(this.#directory, 'isf', `${entry.sha256}.json`);
  }

  /** The symbols under a key, noted as used; undefined when they are not there or their file is not as it was put there. */
  async use(key: string): Promise<CacheEntry | undefined> {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    const { entry } = kept;
    const found = await stat(this.isfPath(entry)).catch(() => undefined);
    if (found?.size !== entry.sizeBytes) {
      await this.remove(key);
      return undefined;
    }
    const now = Date.now();
    if (now - kept.usedMs > touchMs) await utimes(this.#entryPath(key), now / 1000, now / 1000).catch(() => undefined);
    this.#kept.set(key, { entry, usedMs: now });
    return entry;
  }

  async scratch(): Promise<Scratch> {
    const path = join(this.#directory, 'work', randomUUID());
    await this.#guard('make a folder for work', () => mkdir(path, { recursive: true, mode: 0o700 }));
    return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
  }

  /** Puts a finished, synced ISF in its place, then its entry; evicts what is over the limits. What was under the key is replaced, and a pin stays. */
  async keep(draftPath: string, entry: CacheEntry): Promise<void> {
    await this.#change('keep symbols', async () => {
      const before = this.#kept.get(entry.key)?.entry;
      await rename(draftPath, this.isfPath(entry));
      await syncDirectory(join(this.#directory, 'isf'));
      const imageBanners = before?.banner === entry.banner ? before.imageBanners : undefined;
      const pinned = entry.pinned || before?.pinned === true;
      await this.#write({ ...entry, pinned, ...(imageBanners === undefined ? {} : { imageBanners }) });
      if (before !== undefined) await this.#removeIsf(before);
      await this.#sweep(entry);
    });
  }

  /** False when there is nothing under the key. */
  async pin(key: string, pinned: boolean): Promise<boolean> {
    return await this.#change('pin symbols', async () => {
      const kept = this.#kept.get(key);
      if (kept === undefined) return false;
      await this.#write({ ...kept.entry, pinned });
      return true;
    });
  }

  /**
   * Notes the banner of an image that was read with an ISF, if it may be longer than the ISF's own: not where that is
   * from a kernel's file. One that is no longer is noted too, so that it stands against a lie. Throws Fault storage_failed.
   */
  async noteImageBanner(sha256: string, imageBanner: string): Promise<void> {
    await this.#change('note the banner of an image', async () => {
      for (const { entry } of this.list()) {
        const { banner, imageBanners = [] } = entry;
        const fromFile = entry.quality === 'dwarf' && entry.bannerTold !== true;
        const known = imageBanner === imageBanners[0];
        if (entry.sha256 !== sha256 || fromFile || known || !isBannerOf(imageBanner, banner)) continue;
        const others = imageBanners.filter((each) => each !== imageBanner);
        await this.#write({ ...entry, imageBanners: [imageBanner, ...others].slice(0, maxImageBanners) });
      }
    });
  }

  /** False when there is nothing under the key. */
  async remove(key: string): Promise<boolean> {
    return await this.#change('remove symbols', async () => {
      const there = this.#kept.has(key);
      await this.#drop(key);
      return there;
    });
  }

  async #load(): Promise<void> {
    for (const name of ['isf', 'kernels']) await mkdir(join(this.#directory, name), { recursive: true, mode: 0o700 });
    await rm(join(this.#directory, 'work'), { recursive: true, force: true });
    for (const name of await readdir(join(this.#directory, 'kernels'))) {
      const path = join(this.#directory, 'kernels', name);
      const entry = name.endsWith('.json') ? parseEntry(await readFile(path, 'utf8')) : undefined;
      const isf = entry && (await stat(this.isfPath(entry)).catch(() => undefined));
      const outdated = entry?.quality !== 'provided' && entry?.builderRevision !== builderRevision;
      if (entry !== undefined && name === `${entry.key}.json` && isf?.size === entry.sizeBytes && !outdated) {
        this.#kept.set(entry.key, { entry, usedMs: (await stat(path)).mtimeMs });
      } else await rm(path, { force: true });
    }
    for (const { key } of surplus(this.list(), this.#limitBytes, ({ pinned }) => pinned)) {
      this.#kept.delete(key);
      await rm(this.#entryPath(key), { force: true });
    }
    const needed = new Set(this.list().map(({ entry }) => `${entry.sha256}.json`));
    for (const name of await readdir(join(this.#directory, 'isf'))) {
      if (!needed.has(name)) await rm(join(this.#directory, 'isf', name), { force: true });
    }
  }

  async #write(entry: CacheEntry): Promise<void> {
    const path = this.#entryPath(entry.key);
    const draft = `${path}.draft`;
    const file = await open(draft, 'w', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(entry, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
    await syncDirectory(join(this.#directory, 'kernels'));
    this.#kept.set(entry.key, { entry, usedMs: Date.now() });
    this.#changeCount += 1;
  }

  /** Removes what is over the limits, never the pinned nor what has just been kept. */
  async #sweep(justKept: CacheEntry): Promise<void> {
    const stays = ({ key, pinned }: CacheEntry) => pinned || key === justKept.key;
    const isNeeded = (entry: CacheEntry) => stays(entry) || this.#isRunElsewhere(entry);
    for (const { key } of crowd(this.list(), justKept, isNeeded)) await this.#drop(key);
    for (const { key } of surplus(this.list(), this.#limitBytes, stays)) await this.#drop(key);
  }

  async #drop(key: string): Promise<void> {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#changeCount += 1;
    await rm(this.#entryPath(key), { force: true });
    await this.#removeIsf(kept.entry);
  }

  /** Removes the ISF of an entry that is gone, unless another entry has the same. */
  async #removeIsf(gone: CacheEntry): Promise<void> {
    const shared = this.list().some(({ entry }) => entry.sha256 === gone.sha256);
    if (!shared) await rm(this.isfPath(gone), { force: true });
  }

  #entryPath(key: string): string {
    return join(this.#directory, 'kernels', `${key}.json`);
  }

  async #change<T>(what: string, work: () => Promise<T>): Promise<T> {
    const done = this.#changes.then(() => this.#guard(what, work));
    this.#changes = done.catch(() => undefined);
    return await done;
  }

  async #guard<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `the symbol cache ${this.#directory} cannot ${what} (${reason}); check its rights and its free space`;
      throw new Fault('storage_failed', message, { cause: error });
    }
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
