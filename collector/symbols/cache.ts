import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import type { KernelIdentity } from './symbols.ts';

/** What is known of a cached ISF; lies beside it as `<key>.meta.json`. */
export interface CacheEntry {
  readonly banner: string;
  /** Lower-case hex of the ISF. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /** What it was built from and by what, for people. */
  readonly source: string;
  /** ISO 8601, UTC. */
  readonly builtAt: string;
}

const buildingSuffix = '.building';

/** Name of a kernel's files in the cache. Never more of a node's text than hex digits. */
export function cacheKey(kernel: Pick<KernelIdentity, 'buildId' | 'banner'>): string {
  if (/^[0-9a-f]{8,64}$/.test(kernel.buildId)) return kernel.buildId;
  return `banner-${createHash('sha256').update(kernel.banner).digest('hex').slice(0, 32)}`;
}

/** Built ISFs, one file per kernel. Files appear whole, by rename. */
export class SymbolCache {
  readonly #directory: string;
  #count = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Makes the directory and removes what earlier runs of this program left half-built. */
  async open(): Promise<void> {
    await this.#guard('be prepared', async () => {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      for (const name of await readdir(this.#directory)) {
        if (name.endsWith(buildingSuffix) && !(await builderLives(name))) await rm(join(this.#directory, name));
      }
    });
  }

  /** Path of the kernel's ISF, whether it is there or not. */
  path(key: string): string {
    return join(this.#directory, `${key}.json`);
  }

  /** What is known of the kernel's ISF; undefined when it is not there or not as it was when it was put there. */
  async read(key: string): Promise<CacheEntry | undefined> {
    try {
      const entry: unknown = JSON.parse(await readFile(this.#meta(key), 'utf8'));
      if (!isEntry(entry)) return undefined;
      return (await stat(this.path(key))).size === entry.sizeBytes ? entry : undefined;
    } catch {
      return undefined;
    }
  }

  /** A name for a file that is being built for this kernel; the caller ends it by `keep` or `discard`. */
  draft(key: string): string {
    this.#count += 1;
    return join(this.#directory, `${key}.${process.pid}.${this.#count}${buildingSuffix}`);
  }

  /** Puts a finished draft in its place, then its entry: an ISF without its entry is never used. */
  async keep(key: string, draft: string, entry: CacheEntry): Promise<void> {
    await this.#guard('take the symbols that were built', async () => {
      const draftOfEntry = this.draft(key);
      const file = await open(draftOfEntry, 'wx', 0o600);
      try {
        await file.writeFile(`${JSON.stringify(entry, null, 2)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, this.path(key));
      await rename(draftOfEntry, this.#meta(key));
    });
  }

  async discard(draft: string): Promise<void> {
    await rm(draft, { force: true });
  }

  #meta(key: string): string {
    return join(this.#directory, `${key}.meta.json`);
  }

  async #guard(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `the symbol cache ${this.#directory} cannot ${what} (${reason}); check its rights and its free space`;
      throw new Fault('storage_failed', message, { cause: error });
    }
  }
}

/** Whether the process named in a draft's name may still be building. Our own number is an earlier process's: we have only just started. */
async function builderLives(name: string): Promise<boolean> {
  const pid = Number(name.split('.').at(-3));
  if (pid === process.pid) return false;
  return stat(`/proc/${pid}`).then(
    () => true,
    () => false,
  );
}

function isEntry(value: unknown): value is CacheEntry {
  if (typeof value !== 'object' || value === null) return false;
  const entry = value as Partial<Record<keyof CacheEntry, unknown>>;
  const texts = [entry.banner, entry.sha256, entry.source, entry.builtAt];
  return texts.every((text) => typeof text === 'string') && typeof entry.sizeBytes === 'number';
}
