import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { confineBy } from './confine.ts';
import { SymbolSearch } from './find.ts';
import { createNodeSource } from './sources/node.ts';
import type { ListedSource, Search, SourceAnswer } from './sources/source.ts';
import type { KernelIdentity } from './symbols.ts';
import { listed } from './testing/listed.ts';
import { makeElf, makeIsf } from './testing/symbol-files.ts';

const kernel: KernelIdentity = {
  buildId: '3b43fad5034874490492495d552c0af6a5fab235',
  banner: 'Linux version 6.1.0-56-cloud-amd64 (gcc) #1 SMP',
  release: '6.1.0-56-cloud-amd64',
  architecture: 'x86_64',
  cosBuildId: '18613.0.0',
};
const never = new AbortController().signal;

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kcorder-symbols-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const asked: string[] = [];
beforeEach(() => {
  asked.length = 0;
});

/** A source over the network, as far as the search can tell. */
function remote(name: string, seek: (search: Search) => Promise<SourceAnswer>): ListedSource {
  return listed(name, {
    seek: (_kernel, search) => {
      asked.push(name);
      return seek(search);
    },
  });
}

const nothing = (detail: string, transient = false): SourceAnswer => ({ kind: 'nothing', looked: [detail], transient });

async function isfOf(search: Search, banner: string): Promise<SourceAnswer> {
  const path = join(search.scratchPath, 'found.json');
  await writeFile(path, makeIsf(banner));
  return { kind: 'isf', path, from: 'https://symbols.example/found.json' };
}

const confine = confineBy('python3');
const open = (...sources: ListedSource[]) =>
  SymbolSearch.open({
    cacheDir: join(home, 'cache'),
    cacheLimitBytes: 1 << 30,
    firstDirectory: undefined,
    sources,
    confine,
  });

test('sources are asked in order until one has it, and each has its state', async () => {
  const search = await open(
    remote('bucket', async () => nothing('https://bucket.example/…: 404')),
    remote('cos', (how) => isfOf(how, kernel.banner)),
    remote('debuginfod', async () => nothing('never asked')),
  );
  expect(await search.find(kernel, never)).toMatchObject({ kind: 'ready', quality: 'provided' });
  expect(asked).toEqual(['bucket', 'cos']);
  await search.find(kernel, never);
  const { reports } = search.status(kernel);
  expect(reports.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'cache nothing',
    'bucket nothing',
    'cos found',
    'debuginfod not_asked',
  ]);
  expect(reports[1]).toMatchObject({ detail: expect.stringContaining('404'), rememberedUntil: expect.any(String) });
});

describe('a source that had nothing', () => {
  test('is not asked again, not by the next collector either, unless somebody asks for it', async () => {
    const absent = remote('cos', async () => nothing('404'));
    await (await open(absent)).find(kernel, never);
    const search = await open(absent);
    const state = await search.find(kernel, never);
    expect(asked).toEqual(['cos']);
    expect(state).toMatchObject({ kind: 'missing', looked: expect.arrayContaining(['404']) });
    await search.find(kernel, never, { again: true });
    expect(asked).toEqual(['cos', 'cos']);
  });

  test('is remembered for each kernel alone', async () => {
    const search = await open(remote('cos', async () => nothing('404')));
    await search.find(kernel, never);
    await search.find({ ...kernel, buildId: 'aabbccdd' }, never);
    expect(asked).toEqual(['cos', 'cos']);
  });

  test('for a reason that may pass is remembered for two minutes, not for hours', async () => {
    const search = await open(
      remote('cos', async () => nothing('503', true)),
      remote('bucket', async () => nothing('404')),
    );
    const before = Date.now();
    await search.find(kernel, never);
    const until = Object.fromEntries(
      search
        .status(kernel)
        .reports.map(({ name, rememberedUntil }) => [name, Date.parse(rememberedUntil ?? '') - before]),
    );
    expect(until.cos).toBeLessThan(130_000);
    expect(until.bucket).toBeGreaterThan(3_600_000);
    expect(search.status(kernel).reports.find(({ name }) => name === 'cos')?.state).toBe('failed');
  });
});

test('many who ask at once share one search', async () => {
  const search = await open(remote('cos', (how) => isfOf(how, kernel.banner)));
  const ends = await Promise.all(Array.from({ length: 20 }, () => search.find(kernel, never)));
  expect(new Set(ends.map((end) => JSON.stringify(end))).size).toBe(1);
  expect(asked).toEqual(['cos']);
});

test('while it is fetched, the state tells how far it is', async () => {
  const gate = Promise.withResolvers<void>();
  const search = await open(
    remote('cos', async (how) => {
      how.progress(45, 185);
      await gate.promise;
      return await isfOf(how, kernel.banner);
    }),
  );
  const finding = search.find(kernel, never);
  while (search.status(kernel).state.kind !== 'building' || asked.length === 0)
    await new Promise((resolve) => setTimeout(resolve, 1));
  expect(search.status(kernel).state).toMatchObject({ kind: 'building', doneBytes: 45, totalBytes: 185 });
  gate.resolve();
  await finding;
  expect(search.status(kernel).state).toMatchObject({ kind: 'ready' });
});

test('an ISF of another banner is a mismatch; a later source that has the right one is not kept from it', async () => {
  const wrong = remote('bucket', (how) => isfOf(how, 'Linux version 5.10'));
  const end = await (await open(wrong)).find(kernel, never);
  expect(end).toMatchObject({ kind: 'mismatch', detail: expect.stringContaining('Linux version 5.10') });
  const both = await open(
    wrong,
    remote('cos', (how) => isfOf(how, kernel.banner)),
  );
  expect(await both.find(kernel, never)).toMatchObject({ kind: 'ready' });
});

describe('the node itself', () => {
  const digest = 'ab'.repeat(32);
  test.each<[string, Partial<KernelIdentity>, RegExp]>([
    ['that has nothing to send says why', { typesProblem: 'no CONFIG_DEBUG_INFO_BTF' }, /CONFIG_DEBUG_INFO_BTF/],
    ['of an old agent', {}, /too old/],
    ['that is offline', { typesDigest: digest }, /attached/],
  ])('%s', async (_, changes, why) => {
    const search = await open(
      listed(
        'node',
        createNodeSource(async () => ({ kind: 'offline' })),
      ),
    );
    const end = await search.find({ ...kernel, ...changes }, never);
    expect(end).toMatchObject({ kind: 'missing', looked: expect.arrayContaining([expect.stringMatching(why)]) });
  });

  test('that sends rubbish is rejected, and not asked for the same rubbish again', async () => {
    let asks = 0;
    const source = createNodeSource(async (_digest, directory) => {
      asks += 1;
      const files = { btfPath: `${directory}-btf`, kallsymsPath: `${directory}-kallsyms` };
      await writeFile(files.btfPath, 'no BTF');
      await writeFile(files.kallsymsPath, 'no symbols');
      return { kind: 'received', nodeName: 'n1', files };
    });
    const search = await open(listed('node', source));
    for (let time = 0; time < 2; time += 1) {
      const end = await search.find({ ...kernel, typesDigest: digest }, never);
      expect(end).toMatchObject({ kind: 'rejected', detail: expect.stringMatching(/node n1: kallsyms line 1/) });
    }
    expect(asks).toBe(1);
  });
});

test('a disk that takes no more is told, with the source that had something, and nothing is left', async () => {
  const search = await open(
    remote('cos', async ({ scratchPath }) => {
      const path = join(scratchPath, 'found.json');
      await writeFile(path, makeIsf(kernel.banner));
      // The copy cannot be made: its name is taken by a directory.
      await import('node:fs/promises').then(({ mkdir }) => mkdir(join(scratchPath, 'cos.isf')));
      return { kind: 'isf', path, from: 'https://symbols.example/found.json' };
    }),
  );
  expect(await search.find(kernel, never)).toMatchObject({
    kind: 'rejected',
    detail: expect.stringMatching(/could not be kept: EEXIST.*kcorder symbols find/),
  });
  expect(search.cache.list()).toEqual([]);
});

test('symbols that were deleted or imported meanwhile show in the state', async () => {
  const search = await open(
    remote('cos', (how) => isfOf(how, kernel.banner)),
    listed('directory', undefined),
  );
  await search.find(kernel, never);
  await search.cache.remove(kernel.buildId);
  expect(search.status(kernel).state).toMatchObject({ kind: 'missing' });
});

test('an ELF file that nobody can build from is named', async () => {
  const search = await open(
    remote('debuginfod', async ({ scratchPath }) => {
      const path = join(scratchPath, 'vmlinux');
      await writeFile(path, makeElf(kernel.buildId));
      return { kind: 'elf', path, from: 'https://debuginfod.example/buildid' };
    }),
  );
  expect(await search.find(kernel, never)).toMatchObject({
    kind: 'rejected',
    detail: expect.stringContaining('https://debuginfod.example/buildid'),
  });
});
