import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cacheKey } from './cache.ts';
import { createDwarf2json } from './dwarf2json.ts';
import { createSymbols } from './find.ts';
import type { SymbolsState } from './symbols.ts';
import { makeElf, makeIsf } from './testing/symbol-files.ts';

const kernel = {
  buildId: '3b43fad5034874490492495d552c0af6a5fab235',
  banner: 'Linux version 6.1.0-56-cloud-amd64 (gcc) #1 SMP Debian 6.1.192-2',
  release: '6.1.0-56-cloud-amd64',
  architecture: 'x86_64',
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

/** A program that stands for dwarf2json: a shell script that gets `linux --elf PATH`. */
async function builder(script: string, wallMs = 20_000) {
  const path = join(home, 'dwarf2json');
  await writeFile(path, `#!/bin/sh\necho run >>'${home}/runs'\n${script}\n`, { mode: 0o755 });
  return createDwarf2json(path, wallMs);
}

async function prints(text: string, before = '') {
  await writeFile(join(home, 'printed'), text);
  return builder(`${before}\ncat '${home}/printed'`);
}

async function runs(): Promise<number> {
  return (await readFile(join(home, 'runs'), 'utf8').catch(() => '')).split('\n').length - 1;
}

const put = (name: string, content: string | Buffer) => writeFile(join(files, name), content);
const notThere = createDwarf2json('/nonexistent/dwarf2json');

async function find(using = notThere, signal = never): Promise<SymbolsState> {
  return createSymbols({ cacheDir, directories: [files], builder: using }).find(kernel, signal);
}

test('an ISF with the banner is taken where it lies, whatever its name', async () => {
  await put('a.json', makeIsf(otherKernel));
  await put('b.json', makeIsf(kernel.banner));
  expect(await find()).toMatchObject({
    kind: 'ready',
    isfPath: join(files, 'b.json'),
    isfSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
});

test('a vmlinux with the build-id is built once, kept, and found again without it', async () => {
  await put('vmlinux', makeElf(kernel.buildId));
  const using = await prints(makeIsf(kernel.banner), `[ "$1 $2 $3" = 'linux --elf ${files}/vmlinux' ] || exit 9`);
  const symbols = createSymbols({ cacheDir, directories: [files], builder: using });
  const states = await Promise.all([symbols.find(kernel, never), symbols.find(kernel, never)]);
  expect(states[0]).toMatchObject({ kind: 'ready', isfPath: join(cacheDir, `${kernel.buildId}.json`) });
  expect(states[1]).toEqual(states[0]);
  await rm(join(files, 'vmlinux'));
  expect(await find()).toEqual(states[0]);
  expect(await runs()).toBe(1);
  expect((await readdir(cacheDir)).sort()).toEqual([`${kernel.buildId}.json`, `${kernel.buildId}.meta.json`]);
});

test('a cached ISF that is not as it was put there is built anew', async () => {
  await put('vmlinux', makeElf(kernel.buildId));
  const using = await prints(makeIsf(kernel.banner));
  await find(using);
  await writeFile(join(cacheDir, `${kernel.buildId}.json`), '');
  expect(await find(using)).toMatchObject({ kind: 'ready' });
  expect(await runs()).toBe(2);
});

test('a directory that changes is read anew, and so is a file of the same name', async () => {
  const symbols = createSymbols({ cacheDir, directories: [files], builder: notThere });
  expect(await symbols.find(kernel, never)).toMatchObject({ kind: 'missing' });
  await put('a.json', makeIsf(otherKernel));
  expect(await symbols.find(kernel, never)).toMatchObject({ kind: 'missing' });
  await put('a.json', makeIsf(kernel.banner));
  await utimes(join(files, 'a.json'), 1, 1);
  expect(await symbols.find(kernel, never)).toMatchObject({ kind: 'ready' });
});

test('nothing that fits: missing, with the places, what was there and what to do', async () => {
  await put('a.json', makeIsf(otherKernel));
  await put('vmlinux', makeElf('aabbccdd'));
  await put('readme.txt', 'nothing of ours');
  const state = await createSymbols({ cacheDir, directories: ['/nonexistent/symbols', files], builder: notThere }).find(
    kernel,
    never,
  );
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
  for (const part of [kernel.buildId, kernel.banner, '/nonexistent/symbols']) expect(state.advice).toContain(part);
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
    expect(await find()).toMatchObject({ kind: 'ready', isfPath: join(files, 'z.json') });
  });

  test('a vmlinux whose symbols carry another banner than the node tells is a mismatch, built only once', async () => {
    await put('vmlinux', makeElf(kernel.buildId));
    const using = await prints(makeIsf(otherBuild));
    for (let time = 0; time < 2; time += 1) {
      expect(await find(using)).toMatchObject({ kind: 'mismatch', detail: expect.stringContaining(otherBuild) });
    }
    expect(await runs()).toBe(1);
    // A node that lied does not spoil the symbols for those that did not.
    const honest = createSymbols({ cacheDir, directories: [], builder: notThere });
    expect(await honest.find({ ...kernel, banner: otherBuild }, never)).toMatchObject({ kind: 'ready' });
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
    expect(await readdir(cacheDir)).toEqual([]);
  });

  test('because it takes too long is killed with all it has started', async () => {
    await put('vmlinux', makeElf(kernel.buildId));
    const state = await find(await builder('sleep 1000 & sleep 1000', 500));
    expect(state).toMatchObject({ kind: 'rejected', detail: expect.stringContaining('0.5 s') });
  });

  test('because dwarf2json is not there is missing, with how to get it', async () => {
    await put('vmlinux', makeElf(kernel.buildId));
    expect(await find()).toMatchObject({ kind: 'missing', advice: expect.stringContaining('dwarf2json') });
    expect(await readdir(cacheDir)).toEqual([]);
  });

  test('because the caller gives up throws its reason and leaves nothing', async () => {
    await put('vmlinux', makeElf(kernel.buildId));
    const controller = new AbortController();
    const finding = find(await builder('sleep 1000'), controller.signal).catch((error: unknown) => error);
    while ((await runs()) === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    controller.abort('enough');
    expect(await finding).toBe('enough');
    while ((await readdir(cacheDir)).length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  });
});

test('what a killed collector left half-built goes', async () => {
  await find();
  await writeFile(join(cacheDir, `${kernel.buildId}.999999999.1.building`), 'half');
  await find();
  expect(await readdir(cacheDir)).toEqual([]);
});

test.each([['aarch64'], ['']])('the architecture "%s" is unsupported', async (architecture) => {
  const symbols = createSymbols({ cacheDir, directories: [files], builder: notThere });
  expect(await symbols.find({ ...kernel, architecture }, never)).toEqual({ kind: 'unsupported', architecture });
});

test.each([['../../../etc/passwd'], [''], ['ABCDEF0123'], ['0'.repeat(65)]])(
  'the build-id "%s" never becomes a part of a path',
  (buildId) => {
    expect(cacheKey({ ...kernel, buildId })).toMatch(/^banner-[0-9a-f]{32}$/);
  },
);

test('a cache that cannot be made is a fault that names it', async () => {
  await writeFile(join(home, 'cache'), '');
  await expect(find()).rejects.toMatchObject({ code: 'storage_failed', message: expect.stringContaining(cacheDir) });
});
