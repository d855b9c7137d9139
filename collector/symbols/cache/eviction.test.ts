import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builderRevision } from '@kcorder/isf/isf.ts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isRunElsewhere } from '../sources/node.ts';
import type { KernelIdentity, SymbolsQuality } from '../symbols.ts';
import { SymbolCache } from './cache.ts';
import { type CacheEntry, nodeKey, toldKey } from './entry.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kcorder-eviction-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const content = '{}';
const sha256 = createHash('sha256').update(content).digest('hex');

function entryOf(key: string, source: string, quality: SymbolsQuality, changes: Partial<CacheEntry> = {}): CacheEntry {
  const facts = { buildId: 'aaaaaaaa', banner: 'Linux version 6.1', release: '6.1', architecture: 'x86_64' };
  const rest = { origin: '', builtAt: '2026-01-01T00:00:00Z', pinned: false, remarks: [] };
  return { key, source, quality, sha256, sizeBytes: content.length, builderRevision, ...facts, ...rest, ...changes };
}

async function keep(cache: SymbolCache, entry: CacheEntry): Promise<string> {
  await using scratch = await cache.scratch();
  const draft = join(scratch.path, 'draft');
  await writeFile(draft, content);
  await cache.keep(draft, entry);
  return entry.key;
}

/** A kernel, and what is kept of it when a node has sent its types. */
function sent(number: number, nodeName: string): { readonly kernel: KernelIdentity; readonly entry: CacheEntry } {
  const typesDigest = createHash('sha256').update(`${number}`).digest('hex');
  const told = { buildId: 'aaaaaaaa', banner: `Linux version 6.1-${number} (b@h) (gcc) #1` };
  const kernel = { ...told, release: '6.1', architecture: 'x86_64', cosBuildId: '', typesDigest };
  return { kernel, entry: entryOf(nodeKey(kernel) ?? '', `BTF and kallsyms of node ${nodeName}`, 'btf', told) };
}

const keysOf = (cache: SymbolCache) => cache.list().map(({ entry }) => entry.key);

test('a node that sends ever new kernels has the last 16 kept, what is pinned or run elsewhere, and drives out nobody', async () => {
  const attached = [
    { name: 'hostile', kernel: sent(2, 'hostile').kernel },
    { name: 'honest', kernel: sent(1, 'hostile').kernel },
  ];
  const cache = await SymbolCache.open(home, 1 << 20, (entry) => isRunElsewhere(entry, { attached: () => attached }));
  const others = [
    await keep(cache, sent(100, 'honest').entry),
    await keep(cache, entryOf('bbbbbbbb', 'BTF and kallsyms of node hostile', 'provided')),
  ];
  const keys: string[] = [];
  for (let i = 0; i < 40; i += 1) {
    keys.push(await keep(cache, sent(i, 'hostile').entry));
    if (i === 0) await cache.pin(keys[0] ?? '', true);
  }
  const left = [...others, ...keys.slice(0, 2), ...keys.slice(-14)];
  expect(keysOf(cache).toSorted()).toEqual(left.toSorted());
  expect((await readdir(join(home, 'kernels'))).length).toBe(left.length);
});

test("of one file's symbols with the banners that nodes tell 16 are kept", async () => {
  const cache = await SymbolCache.open(home, 1 << 20);
  const own = await keep(cache, entryOf('aaaaaaaa', 'vmlinux', 'dwarf'));
  for (let i = 0; i < 20; i += 1) {
    const banner = `Linux version 6.1 lie ${i}`;
    const key = toldKey({ buildId: 'aaaaaaaa', banner });
    await keep(cache, entryOf(key, 'vmlinux', 'dwarf', { banner, bannerTold: true }));
  }
  expect(cache.list()).toHaveLength(17);
  expect(keysOf(cache)).toContain(own);
});

test('of all symbols 2,000 are kept, also of those that an earlier collector left: the word of nodes goes first, then what was used least lately', async () => {
  for (const name of ['isf', 'kernels']) await mkdir(join(home, name), { recursive: true });
  await writeFile(join(home, 'isf', `${sha256}.json`), content);
  const leave = async (entry: CacheEntry, usedSeconds: number) => {
    const path = join(home, 'kernels', `${entry.key}.json`);
    await writeFile(path, JSON.stringify(entry));
    await utimes(path, usedSeconds, usedSeconds);
  };
  const number = (i: number) => `${i}`.padStart(8, '0');
  // The older, the better: a node's word is the newest.
  for (let i = 0; i < 2_010; i += 1) await leave(entryOf(number(i), 'a bucket', 'provided'), 1_000 + i);
  for (let i = 0; i < 100; i += 1) await leave(sent(i, `n${i}`).entry, 5_000);
  const pinned = sent(100, 'n100').entry;
  await leave({ ...pinned, pinned: true }, 1);
  const cache = await SymbolCache.open(home, 1 << 20);
  const numbers = Array.from({ length: 1_999 }, (_, i) => number(i + 11));
  expect(keysOf(cache).toSorted()).toEqual([...numbers, pinned.key].toSorted());
  await keep(cache, sent(101, 'n101').entry);
  expect(keysOf(cache)).toHaveLength(2_000);
  expect(keysOf(cache)).not.toContain(number(11));
  expect((await readdir(join(home, 'kernels'))).length).toBe(2_000);
});
