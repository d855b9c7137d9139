import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { kernelKey } from './cache/entry.ts';
import { type Confine, confineBy } from './confine.ts';
import { SymbolSearch } from './find.ts';
import { createDirectorySource } from './sources/directory.ts';
import { createDwarf2json } from './sources/dwarf2json.ts';
import type { ListedSource } from './sources/source.ts';
import type { KernelIdentity, SymbolsEnd } from './symbols.ts';
import { listed } from './testing/listed.ts';
import { makeElf, makeIsf } from './testing/symbol-files.ts';

const kernel: KernelIdentity = {
  buildId: '3b43fad5034874490492495d552c0af6a5fab235',
  banner: 'Linux version 6.1.0-56-cloud-amd64 (gcc) #1 SMP Debian 6.1.192-2',
  release: '6.1.0-56-cloud-amd64',
  architecture: 'x86_64',
  cosBuildId: '',
};
const otherBuild = kernel.banner.replace('192-2', '192-1');
const otherKernel = 'Linux version 5.10.0-1-amd64 (gcc) #1 SMP';
const never = new AbortController().signal;

let home: string;
let files: string;
let cacheDir: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kcorder-symbols-'));
  cacheDir = join(home, 'cache');
  files = await mkdtemp(join(home, 'files-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const confine = confineBy('python3');
/** A shell script starts programs. */
const unconfined: Confine = (_files, argv) => argv;

/** A program that stands for dwarf2json, which gets what our own builder refuses: a shell script that gets `linux --elf PATH`. */
async function builder(script: string, wallMs = 20_000) {
  const path = join(home, 'dwarf2json');
  await writeFile(path, `#!/bin/sh\necho run >>'${home}/runs'\n${script}\n`, { mode: 0o755 });
  return listed('dwarf2json', createDwarf2json(path, unconfined, wallMs));
}

async function prints(text: string, before = '') {
  await writeFile(join(home, 'printed'), text);
  return builder(`${before}\ncat '${home}/printed'`);
}

async function runs(): Promise<number> {
  return (await readFile(join(home, 'runs'), 'utf8').catch(() => '')).split('\n').length - 1;
}

const put = (name: string, content: string | Buffer) => writeFile(join(files, name), content);
const notThere = listed('dwarf2json', createDwarf2json('/nonexistent/dwarf2json', confine));
const directories = (...paths: string[]) => listed('directory', createDirectorySource(paths));

const open = (sources: readonly ListedSource[], cacheLimitBytes = 1 << 30): Promise<SymbolSearch> =>
  SymbolSearch.open({ cacheDir, cacheLimitBytes, firstDirectory: files, sources, confine });

async function find(using: ListedSource = notThere, signal = never): Promise<SymbolsEnd> {
  return await (await open([directories(files), using])).find(kernel, signal);
}

/** Files of the cache: ISFs, entries, work in progress. */
async function cached(): Promise<string[]> {
  const names = await readdir(cacheDir, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    // A file that goes while it is listed: the next look has the rest.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (names === undefined) return await cached();
  return names
    .filter((entry) => entry.isFile() && entry.name !== 'remembered.json')
    .map(({ name }) => name)
    .sort();
}

test('an ISF with the banner is taken whatever its name, and kept', async () => {
  await put('a.json', makeIsf(otherKernel));
  await put('b.json', makeIsf(kernel.banner));
  const state = await find();
  expect(state).toMatchObject({ kind: 'ready', quality: 'provided', source: expect.stringContaining('b.json') });
  if (state.kind !== 'ready') throw new Error(state.kind);
  expect(await readFile(state.isfPath, 'utf8')).toBe(makeIsf(kernel.banner));
  expect(state.isfPath).toBe(join(cacheDir, 'isf', `${state.isfSha256}.json`));
  await rm(join(files, 'b.json'));
  expect(await find()).toEqual(state);
});

test('an ISF that was changed in its place is taken anew', async () => {
  await put('a.json', makeIsf(kernel.banner));
  const first = await find();
  await put('a.json', makeIsf(kernel.banner, 10));
  const second = await find();
  expect(second.kind).toBe('ready');
  expect(second).not.toEqual(first);
  expect((await cached()).length).toBe(2);
});

test('a vmlinux with the build-id is built once, kept, and found again without it', async () => {
  await put('vmlinux', makeElf(kernel.buildId));
  const using = await prints(makeIsf(kernel.banner), `[ "$1 $2 $3" = 'linux --elf ${files}/vmlinux' ] || exit 9`);
  const search = await open([directories(files), using]);
  const states = await Promise.all([search.find(kernel, never), search.find(kernel, never)]);
  expect(states[0]).toMatchObject({ kind: 'ready', quality: 'dwarf' });
  expect(states[1]).toEqual(states[0]);
  await rm(join(files, 'vmlinux'));
  expect(await find()).toEqual(states[0]);
  expect(await runs()).toBe(1);
});

test('a cached ISF that is not as it was put there is built anew', async () => {
  await put('vmlinux', makeElf(kernel.buildId));
  const using = await prints(makeIsf(kernel.banner));
  const first = await find(using);
  if (first.kind !== 'ready') throw new Error(first.kind);
  await writeFile(first.isfPath, '');
  expect(await find(using)).toMatchObject({ kind: 'ready' });
  expect(await runs()).toBe(2);
});

test('a directory that changes is read anew, and so is a file of the same name', async () => {
  const search = await open([directories(files)]);
  expect(await search.find(kernel, never)).toMatchObject({ kind: 'missing' });
  await put('a.json', makeIsf(otherKernel));
  expect(await search.find(kernel, never)).toMatchObject({ kind: 'missing' });
  await put('a.json', makeIsf(kernel.banner));
  await utimes(join(files, 'a.json'), 1, 1);
  expect(await search.find(kernel, never)).toMatchObject({ kind: 'ready' });
});

test('nothing that fits: missing, with the places, what was there and what to do', async () => {
  await put('a.json', makeIsf(otherKernel));
  await put('vmlinux', makeElf('aabbccdd'));
  await put('readme.txt', 'nothing of ours');
  const state = await (await open([directories('/nonexistent/symbols', files)])).find(kernel, never);
  if (state.kind !== 'missing') throw new Error(state.kind);
  const looked = state.looked.join('\n');
  for (const part of [
    cacheDir,
    '/nonexistent/symbols cannot be listed',
    `${files}: 3 files`,
    otherKernel,
    'aabbccdd',
  ]) {
    expect(looked).toContain(part);
  }
  for (const part of [kernel.buildId, kernel.banner, files]) expect(state.advice).toContain(part);
});

describe('what claims to be the kernel and is not', () => {
  test.each<[string, string, string | Buffer]>([
    ['an ISF of another build of the same release', 'x.json', makeIsf(otherBuild)],
    ['an ISF of another kernel under its release', `${kernel.release}.json`, makeIsf(otherKernel)],
    ['an ISF of another kernel under its build-id', `${kernel.buildId}.json`, makeIsf(otherKernel)],
    ['a vmlinux of another build under its release', `vmlinux-${kernel.release}`, makeElf('aabbccdd')],
  ])('%s is a mismatch', async (_what, name, content) => {
    await put(name, content);
    expect(await find()).toMatchObject({ kind: 'mismatch', detail: expect.stringContaining(join(files, name)) });
  });

  test('does not stand in the way of what fits', async () => {
    await put(`${kernel.release}.json`, makeIsf(otherBuild));
    await put('z.json', makeIsf(kernel.banner));
    expect(await find()).toMatchObject({ kind: 'ready', source: expect.stringContaining('z.json') });
  });
});

test('a file that cannot be used, with nothing else that fits, is rejected by name', async () => {
  await put('x.json', makeIsf(kernel.banner).slice(0, 200));
  expect(await find()).toMatchObject({ kind: 'rejected', detail: expect.stringContaining(join(files, 'x.json')) });
});

describe('a build that fails', () => {
  test.each<[string, string, string, string]>([
    ['prints nothing', 'exit 0', 'rejected', 'cut off'],
    ['prints half an ISF', 'printf \'{"symbols":\'', 'rejected', 'cut off'],
    ['says why', "echo 'no DWARF data' >&2; exit 1", 'rejected', 'no DWARF data'],
    ['is killed, as for want of memory', 'kill -9 $$', 'rejected', 'SIGKILL'],
    ['has no types', 'echo \'{"symbols":{"a":{}}}\'', 'rejected', '0 types'],
  ])('because dwarf2json %s leaves nothing in the cache', async (_what, script, kind, part) => {
    await put('vmlinux', makeElf(kernel.buildId));
    expect(await find(await builder(script))).toMatchObject({ kind, detail: expect.stringContaining(part) });
    expect(await cached()).toEqual([]);
  });

  test('because it takes too long is killed with all it has started', async () => {
    await put('vmlinux', makeElf(kernel.buildId));
    const state = await find(await builder('sleep 1000 & sleep 1000', 500));
    expect(state).toMatchObject({ kind: 'rejected', detail: expect.stringContaining('0.5 s') });
  });

  test('and no dwarf2json beside it is rejected with what is wrong with the file', async () => {
    await put('vmlinux', makeElf(kernel.buildId));
    expect(await find()).toMatchObject({ kind: 'rejected', detail: expect.stringContaining(`${files}/vmlinux`) });
    expect(await cached()).toEqual([]);
  });

  test('because the caller gives up throws its reason and leaves nothing', async () => {
    await put('vmlinux', makeElf(kernel.buildId));
    const controller = new AbortController();
    const finding = find(await builder('sleep 1000'), controller.signal).catch((error: unknown) => error);
    while ((await runs()) === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    controller.abort('enough');
    expect(await finding).toBe('enough');
    while ((await cached()).length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  });
});

test('what a killed collector left in progress goes', async () => {
  await find();
  await writeFile(join(cacheDir, 'isf', `${'ab'.repeat(32)}.json`), 'an ISF without an entry');
  await writeFile(join(cacheDir, 'kernels', `${kernel.buildId}.json.draft`), 'half an entry');
  await writeFile(join(cacheDir, 'kernels', `${kernel.buildId}.json`), '{}');
  await mkdir(join(cacheDir, 'work', 'x'), { recursive: true });
  await writeFile(join(cacheDir, 'work', 'x', 'half.isf'), 'half');
  await find();
  expect(await cached()).toEqual([]);
});

test.each([['aarch64'], ['']])('the architecture "%s" is unsupported', async (architecture) => {
  const search = await open([directories(files)]);
  expect(await search.find({ ...kernel, architecture }, never)).toEqual({ kind: 'unsupported', architecture });
});

test.each([['../../../etc/passwd'], [''], ['ABCDEF0123'], ['0'.repeat(65)]])(
  'the build-id "%s" never becomes a part of a path',
  (buildId) => {
    expect(kernelKey({ ...kernel, buildId })).toMatch(/^banner-[0-9a-f]{32}$/);
  },
);

test('a cache that cannot be made is a fault that names it', async () => {
  await writeFile(join(home, 'cache'), '');
  await expect(find()).rejects.toMatchObject({ code: 'storage_failed', message: expect.stringContaining(cacheDir) });
});
