import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builderRevision } from '@kcorder/isf/isf.ts';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fuzzRuns } from '../../../tools/fuzz-runs.ts';
import { SymbolCache } from './cache.ts';
import { bannerInImages, type CacheEntry, isKey, kernelKey, nodeKey, parseEntry, toldKey } from './entry.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kcorder-cache-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const open = (limitBytes = 1 << 20) => SymbolCache.open(join(home, 'symbols'), limitBytes);

function entryOf(key: string, content: string, changes: Partial<CacheEntry> = {}): CacheEntry {
  const sha256 = createHash('sha256').update(content).digest('hex');
  const facts = { buildId: key, banner: 'Linux version 6.1', release: '6.1', architecture: 'x86_64' };
  const rest = {
    quality: 'dwarf',
    builderRevision,
    source: 'a test',
    origin: '',
    builtAt: '2026-01-01T00:00:00Z',
    pinned: false,
    remarks: [],
  } as const;
  return { key, sha256, sizeBytes: content.length, ...facts, ...rest, ...changes };
}

async function keep(
  cache: SymbolCache,
  key: string,
  content: string,
  changes: Partial<CacheEntry> = {},
): Promise<CacheEntry> {
  await using scratch = await cache.scratch();
  const draft = join(scratch.path, 'draft');
  await writeFile(draft, content);
  const entry = entryOf(key, content, changes);
  await cache.keep(draft, entry);
  return entry;
}

const files = async (name: string) => (await readdir(join(home, 'symbols', name))).sort();

test('what was kept is there for the next collector', async () => {
  const entry = await keep(await open(), 'aaaaaaaa', 'one');
  const cache = await open();
  expect(await cache.use('aaaaaaaa')).toEqual(entry);
  expect(await cache.use('bbbbbbbb')).toBeUndefined();
  expect(await files('work').catch(() => [])).toEqual([]);
});

test('what another revision of the builder made is built anew; what was provided stays', async () => {
  const before = await open();
  await keep(before, 'aaaaaaaa', 'one', { builderRevision: builderRevision - 1 });
  await keep(before, 'bbbbbbbb', 'two', { builderRevision: builderRevision - 1, quality: 'provided' });
  const cache = await open();
  expect(cache.list().map(({ entry }) => entry.key)).toEqual(['bbbbbbbb']);
  expect((await files('isf')).length).toBe(1);
});

test('equal content is one file, which stays until its last kernel has gone', async () => {
  const cache = await open();
  await keep(cache, 'aaaaaaaa', 'same');
  await keep(cache, 'bbbbbbbb', 'same');
  expect([await files('isf'), cache.keptBytes]).toEqual([[expect.stringMatching(/\.json$/)], 4]);
  expect(await cache.remove('aaaaaaaa')).toBe(true);
  expect((await files('isf')).length).toBe(1);
  await cache.remove('bbbbbbbb');
  expect(await files('isf')).toEqual([]);
  expect(await cache.remove('bbbbbbbb')).toBe(false);
});

test('other content in the place of the first leaves nothing of it, and the pin stays', async () => {
  const cache = await open();
  await keep(cache, 'aaaaaaaa', 'first');
  await cache.pin('aaaaaaaa', true);
  const second = await keep(cache, 'aaaaaaaa', 'second');
  expect(await files('isf')).toEqual([`${second.sha256}.json`]);
  expect(cache.peek('aaaaaaaa')?.entry.pinned).toBe(true);
});

test('over the limit the least recently used go, never the pinned and never what was just kept', async () => {
  const before = await open(10);
  for (const key of ['aaaaaaaa', 'bbbbbbbb', 'cccccccc']) await keep(before, key, `${key[0]}12`);
  await before.pin('aaaaaaaa', true);
  for (const [index, key] of ['aaaaaaaa', 'bbbbbbbb', 'cccccccc'].entries()) {
    await utimes(join(home, 'symbols', 'kernels', `${key}.json`), 1000 + index, 1000 + index);
  }
  // Opened again, it goes by the moments on disk.
  const cache = await open(10);
  await cache.use('bbbbbbbb');
  await keep(cache, 'dddddddd', 'd12');
  expect(
    cache
      .list()
      .map(({ entry }) => entry.key)
      .sort(),
  ).toEqual(['aaaaaaaa', 'bbbbbbbb', 'dddddddd']);
  await keep(cache, 'eeeeeeee', 'larger than the limit');
  expect(
    cache
      .list()
      .map(({ entry }) => entry.key)
      .sort(),
  ).toEqual(['aaaaaaaa', 'eeeeeeee']);
});

test('what nodes sent goes before the rest, however lately it was used', async () => {
  const cache = await open(10);
  await keep(cache, 'aaaaaaaa', 'a12');
  await keep(cache, 'bbbbbbbb', 'b12', { quality: 'btf' });
  await keep(cache, 'cccccccc', 'c12', { quality: 'btf' });
  await keep(cache, 'dddddddd', 'd12', { quality: 'btf' });
  expect(
    cache
      .list()
      .map(({ entry }) => entry.key)
      .sort(),
  ).toEqual(['aaaaaaaa', 'cccccccc', 'dddddddd']);
});

test("what has a node's banner goes before the rest too: each lie makes one more", async () => {
  const cache = await open(10);
  await keep(cache, 'aaaaaaaa', 'a12');
  for (const lie of ['b', 'c', 'd']) {
    const banner = `Linux version 6.1 ${lie}`;
    await keep(cache, toldKey({ buildId: 'bbbbbbbb', banner }), `${lie}12`, { banner, bannerTold: true });
  }
  expect(cache.list().map(({ entry }) => entry.key)).toContain('aaaaaaaa');
});

test('an ISF whose size has changed is gone', async () => {
  const cache = await open();
  const entry = await keep(cache, 'aaaaaaaa', 'one');
  await writeFile(cache.isfPath(entry), 'cut');
  expect(await cache.use('aaaaaaaa')).toEqual(entry);
  await writeFile(cache.isfPath(entry), 'cu');
  expect(await cache.use('aaaaaaaa')).toBeUndefined();
  expect(cache.list()).toEqual([]);
});

describe('the banner of an image', () => {
  const told = 'Linux version 6 (b@h) (gcc) #1';
  const images = (cache: SymbolCache) => cache.peek('aaaaaaaa')?.entry.imageBanners;

  test('is noted where the ISF has a shorter one, for the next collector too; the latest first, four at most', async () => {
    const cache = await open();
    const { sha256 } = await keep(cache, 'aaaaaaaa', 'one', { banner: told, quality: 'btf' });
    for (const letter of 'ABCDECE') await cache.noteImageBanner(sha256, `${told} (${letter})`);
    const noted = ['E', 'C', 'D', 'B'].map((letter) => `${told} (${letter})`);
    expect(images(cache)).toEqual(noted);
    expect(images(await open())).toEqual(noted);
    expect(cache.peek('aaaaaaaa')?.entry.banner).toBe(told);
  });

  test.each([
    ['before', (honest: string, lie: string) => [honest, lie]],
    ['after', (honest: string, lie: string) => [lie, honest]],
  ])('that lies is no word for the others that an honest one %s contradicts', async (_when, order) => {
    for (const honest of [told, `${told} (U 6)`]) {
      const cache = await open();
      const { sha256 } = await keep(cache, 'aaaaaaaa', 'one', { banner: told, quality: 'btf' });
      for (const banner of order(honest, `${told} (lie)`)) await cache.noteImageBanner(sha256, banner);
      const entry = cache.peek('aaaaaaaa')?.entry;
      expect(entry && bannerInImages(entry)).toBe(told);
      await cache.remove('aaaaaaaa');
    }
  });

  test.each([
    ['of another kernel', `${told.replace('#1', '#2')} (U 6)`],
    ['with more than a group', `${told} (U 6) (x)`],
    ['of any length', `${told} (${'x'.repeat(4000)})`],
    ['that is empty', ''],
  ])('%s is not', async (_what, banner) => {
    const cache = await open();
    const { sha256 } = await keep(cache, 'aaaaaaaa', 'one', { banner: told, quality: 'btf' });
    await cache.noteImageBanner(sha256, banner);
    expect(images(cache)).toBeUndefined();
  });

  test("is not noted for a banner from a kernel's file, but for one that a node told in its place, and an operator's", async () => {
    const cache = await open();
    const own = await keep(cache, 'bbbbbbbb', 'own', { banner: told });
    const tellings = [
      await keep(cache, 'cccccccc', 'split', { banner: told, bannerTold: true }),
      await keep(cache, 'dddddddd', 'provided', { banner: told, quality: 'provided' }),
    ];
    for (const { sha256 } of [own, ...tellings]) await cache.noteImageBanner(sha256, `${told} (U 6)`);
    const noted = (key: string) => cache.peek(key)?.entry.imageBanners;
    expect(['bbbbbbbb', 'cccccccc', 'dddddddd'].map(noted)).toEqual([undefined, [`${told} (U 6)`], [`${told} (U 6)`]]);
  });

  test('stays with the kernel when its symbols are built again, and goes with another banner', async () => {
    const cache = await open();
    const { sha256 } = await keep(cache, 'aaaaaaaa', 'one', { banner: told, quality: 'btf' });
    await cache.noteImageBanner(sha256, `${told} (U 6)`);
    await cache.pin('aaaaaaaa', true);
    await keep(cache, 'aaaaaaaa', 'two', { banner: told, quality: 'btf' });
    expect(images(cache)).toEqual([`${told} (U 6)`]);
    await keep(cache, 'aaaaaaaa', 'three', { banner: 'Linux version 7', quality: 'btf' });
    expect(images(cache)).toBeUndefined();
  });
});

describe('an entry', () => {
  test('survives its own text', () => {
    const entry = entryOf('aaaaaaaa', 'one', { remarks: ['x'], bannerTold: true, imageBanners: ['y'] });
    expect(parseEntry(JSON.stringify(entry))).toEqual(entry);
  });

  test.each([
    ['bannerTold', 1],
    ['imageBanners', 'x'],
    ['imageBanners', [1]],
    ['imageBanners', null],
  ])('with the %s %j is none of ours', (name, value) => {
    expect(parseEntry(JSON.stringify({ ...entryOf('aaaaaaaa', 'one'), [name]: value }))).toBeUndefined();
  });

  test('is taken whole or not at all, whatever the file holds', () => {
    const text = JSON.stringify(entryOf('aaaaaaaa', 'one', { remarks: ['x'] }));
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.nat(3), fc.string({ maxLength: 3, unit: 'binary' }), (at, cut, put) => {
        const entry = parseEntry(text.slice(0, at) + put + text.slice(at + cut));
        if (entry === undefined) return;
        expect(isKey(entry.key)).toBe(true);
        expect(entry.sha256).toMatch(/^[0-9a-f]{64}$/);
      }),
      { numRuns: fuzzRuns(2_000) },
    );
  });

  test('has a key that holds nothing of a node but digits', () => {
    const kernel = { release: '6.1', architecture: 'x86_64', cosBuildId: '' };
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (buildId, banner, typesDigest) => {
        expect(isKey(kernelKey({ buildId, banner }))).toBe(true);
        expect(isKey(toldKey({ buildId: 'ab'.repeat(32), banner }))).toBe(true);
        expect(nodeKey({ ...kernel, buildId, banner, typesDigest })).toBeUndefined();
        const key = nodeKey({ ...kernel, buildId, banner, typesDigest: 'ab'.repeat(32) }) ?? '';
        expect(isKey(key) && key.includes('.node-')).toBe(true);
      }),
      { numRuns: fuzzRuns(2_000) },
    );
  });
});
