import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { smallKallsyms, smallKernel } from '@kcorder/isf/testing/btf-writer.ts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { confineBy } from './confine.ts';
import { SymbolSearch } from './find.ts';
import { importIsf } from './import.ts';
import { createDirectorySource } from './sources/directory.ts';
import type { ListedSource } from './sources/source.ts';
import type { KernelIdentity, SymbolsEnd } from './symbols.ts';
import { listed } from './testing/listed.ts';
import { makeIsf } from './testing/symbol-files.ts';

const told = 'Linux version 6. (b) #1';
const ubuntu = `${told} (U)`;
const kernel: KernelIdentity = {
  buildId: '3b43fad5034874490492495d552c0af6a5fab235',
  banner: told,
  release: '6.',
  architecture: 'x86_64',
  cosBuildId: '',
};
const never = new AbortController().signal;
const fixture = (name: string) => join(import.meta.dirname, '../../isf/fixtures', `${name}.elf`);

let home: string;
let files: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kcorder-banner-'));
  files = await mkdtemp(join(home, 'files-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const put = (name: string, content: string | Buffer) => writeFile(join(files, name), content);
const open = (...more: ListedSource[]) =>
  SymbolSearch.open({
    cacheDir: join(home, 'cache'),
    cacheLimitBytes: 1 << 30,
    firstDirectory: files,
    sources: [listed('directory', createDirectorySource([files])), ...more],
    confine: confineBy('python3'),
  });

/** A server that has a file of whatever build-id it is asked for. */
function server(path: string): ListedSource {
  return listed('debuginfod', { seek: async () => ({ kind: 'elf', path, from: 'https://debuginfod.example/' }) });
}

/** A kernel's file with a banner of its own, as long as the one of the fixture. */
async function vmlinux(banner: string): Promise<string> {
  const bytes = await readFile(fixture('gcc-dwarf5'));
  bytes.write(banner, bytes.indexOf('Linux version 0.0.0-fixture'), 'latin1');
  const path = join(home, 'vmlinux');
  await writeFile(path, bytes);
  return path;
}

async function bannerOf(end: SymbolsEnd): Promise<string> {
  if (end.kind !== 'ready') throw new Error(JSON.stringify(end));
  const { symbols } = JSON.parse(await readFile(end.isfPath, 'utf8'));
  return Buffer.from(symbols.linux_banner.constant_data, 'base64').toString();
}

describe('on Ubuntu, where linux_banner ends in a group that /proc/version lacks', () => {
  test("a vmlinux with the node's build-id is the kernel's, and serves the next node at once", async () => {
    const search = await open(server(await vmlinux(ubuntu)));
    const end = await search.find(kernel, never);
    expect(end).toMatchObject({ kind: 'ready', quality: 'dwarf' });
    expect(await bannerOf(end)).toBe(`${ubuntu}\n\0`);
    expect(search.cache.list().map(({ entry }) => [entry.key, entry.banner])).toEqual([[kernel.buildId, ubuntu]]);
    expect(search.kept(kernel)?.entry.key).toBe(kernel.buildId);
    const again = await open();
    expect(await again.find({ ...kernel, cosBuildId: 'another node' }, never)).toEqual(end);
    expect(again.status(kernel).state).toEqual(end);
  });

  test('an ISF in a directory is, and stays when the directory is empty', async () => {
    await put('x.json', makeIsf(ubuntu));
    const search = await open();
    const end = await search.find(kernel, never);
    expect(end).toMatchObject({ kind: 'ready', quality: 'provided' });
    await rm(join(files, 'x.json'));
    expect(await search.find(kernel, never)).toEqual(end);
    expect(search.status(kernel).state).toEqual(end);
  });

  test('an ISF that was imported by its banner alone is', async () => {
    const search = await open();
    const bytes = Readable.from([Buffer.from(makeIsf(ubuntu))]);
    await importIsf(search.cache, { fileName: 'x.json', buildId: '', importedBy: 'alice' }, bytes, never);
    expect(search.status(kernel).state).toMatchObject({ kind: 'ready', quality: 'provided' });
    expect(await search.find({ ...kernel, buildId: '' }, never)).toMatchObject({ kind: 'ready' });
  });

  test('what an older collector has kept and called a mismatch is used now', async () => {
    const before = await open(server(await vmlinux(ubuntu)));
    await before.find({ ...kernel, banner: 'Linux version 5' }, never);
    const path = join(home, 'cache', 'kernels', `${kernel.buildId}.json`);
    expect(Object.keys(JSON.parse(await readFile(path, 'utf8')))).not.toContain('bannerTold');
    expect(await (await open()).find(kernel, never)).toMatchObject({ kind: 'ready', quality: 'dwarf' });
  });

  test.each([
    ['two groups', `${told} (U) (V)`],
    ['another version', ubuntu.replace('#1', '#2')],
    ['less', told.slice(0, -2)],
  ])('a banner with %s is of another kernel', async (_what, banner) => {
    await put(`${kernel.buildId}.json`, makeIsf(banner));
    expect(await (await open()).find(kernel, never)).toMatchObject({ kind: 'mismatch' });
    const lying = { ...kernel, banner: ubuntu };
    await put(`${kernel.buildId}.json`, makeIsf(told));
    expect(await (await open()).find(lying, never)).toMatchObject({ kind: 'mismatch' });
  });

  test('a file that is replaced by one with the group is taken anew once, and the first is gone', async () => {
    await put('x.json', makeIsf(told));
    const search = await open();
    await search.find(kernel, never);
    await search.cache.pin(search.kept(kernel)?.entry.key ?? '', true);
    await put('x.json', makeIsf(ubuntu));
    const end = await search.find(kernel, never);
    expect(await bannerOf(end)).toBe(`${ubuntu}\n\0`);
    expect(search.cache.list().map(({ entry }) => entry.pinned)).toEqual([true]);
    expect(search.status(kernel).state).toEqual(end);
  });
});

test('of two files that fit, what was kept of the one stays when the other is taken', async () => {
  await put('b.json', makeIsf(ubuntu));
  const search = await open();
  await search.find({ ...kernel, banner: ubuntu }, never);
  await put('a.json', makeIsf(told));
  expect(await bannerOf(await search.find(kernel, never))).toBe(`${told}\n\0`);
  expect(search.kept({ ...kernel, banner: ubuntu })?.entry.source).toContain('b.json');
});

const honest = {
  ...kernel,
  banner: 'Linux version 6.1.0 (b@h) (gcc) #1',
  release: '6.1.0',
  typesDigest: 'ab'.repeat(32),
};

/** A node that sends small types, whatever digest it is asked by. */
async function nodeWithTypes(): Promise<ListedSource> {
  const types = smallKernel();
  types.struct('taint_flag', 24, []);
  const names = `${smallKallsyms.replace(/^f{8}9b/gm, 'ffffffff81').replace(/^f{8}9c/gm, 'ffffffff82')}ffffffff82000800 D taint_flags\n`;
  const paths = { btfPath: join(home, 'btf'), kallsymsPath: join(home, 'kallsyms') };
  await writeFile(paths.btfPath, types.bytes());
  await writeFile(paths.kallsymsPath, names);
  return listed('node', { seek: async () => ({ kind: 'types', ...paths, from: 'a node' }) });
}

describe('a node that lies about its kernel changes nothing for the others', () => {
  test('by the build-id of another kernel and the banner of a file that is there', async () => {
    const otherBanner = 'Linux version 5 (b) #1';
    const search = await open(server(await vmlinux(ubuntu)));
    const honest = await search.find(kernel, never);
    await put('other.json', makeIsf(otherBanner));
    const lying = { ...kernel, banner: otherBanner };
    await search.find(lying, never, { again: true });
    expect(await search.find(kernel, never)).toEqual(honest);
    expect(search.kept(kernel)?.entry.quality).toBe('dwarf');
  });

  test('also when it comes first', async () => {
    const otherBanner = 'Linux version 5 (b) #1';
    await put('other.json', makeIsf(otherBanner));
    const search = await open(server(await vmlinux(ubuntu)));
    expect(await search.find({ ...kernel, banner: otherBanner }, never)).toMatchObject({ kind: 'ready' });
    expect(await search.find(kernel, never)).toMatchObject({ kind: 'ready', quality: 'dwarf' });
  });

  test("by a banner that stands in for the one that a kernel's file lacks", async () => {
    const search = await open(server(fixture('debug-only')));
    const lie = { ...kernel, banner: 'Linux version 5 (b) #1' };
    expect(await bannerOf(await search.find(lie, never))).toBe(`${lie.banner}\n\0`);
    const end = await search.find(kernel, never);
    expect(await bannerOf(end)).toBe(`${told}\n\0`);
    expect(search.kept(kernel)?.entry).toMatchObject({ buildId: kernel.buildId, quality: 'dwarf', bannerTold: true });
    expect(await (await open()).find(kernel, never)).toEqual(end);
  });

  test('by its release, beside types and a banner that are those of the others', async () => {
    const node = await nodeWithTypes();
    for (const release of ['5.15.0', honest.release]) {
      const end = await (await open(node)).find({ ...honest, release }, never);
      if (end.kind !== 'ready') throw new Error(JSON.stringify(end));
      const { symbols } = JSON.parse(await readFile(end.isfPath, 'utf8'));
      expect(symbols.taint_flags.type).toMatchObject({ count: 19 });
    }
  });

  test.each(['short', 'AB'.repeat(32)])(
    'by types under the digest %s, which would stand for all of its build-id',
    async (typesDigest) => {
      const search = await open(await nodeWithTypes());
      await expect(search.find({ ...honest, typesDigest }, never)).rejects.toMatchObject({ code: 'internal' });
      expect(search.cache.list()).toEqual([]);
    },
  );

  test('by a release or BUILD_ID of its own, which would be shown to all beside symbols that they share', async () => {
    const search = await open(server(await vmlinux(ubuntu)));
    await search.find({ ...kernel, release: 'lie-of-one-node', cosBuildId: 'lie-of-one-node' }, never);
    const kept = search.kept(kernel);
    expect(kept?.entry).toMatchObject({ buildId: kernel.buildId, quality: 'dwarf' });
    expect(JSON.stringify(kept?.entry)).not.toContain('lie-of-one-node');
  });

  test("by a banner that contradicts the one in the kernel's file, which is told", async () => {
    const search = await open(server(await vmlinux(ubuntu)));
    const lie = { ...kernel, banner: `${ubuntu} (not)` };
    for (let time = 0; time < 2; time += 1)
      expect(await search.find(lie, never)).toMatchObject({
        kind: 'mismatch',
        detail: expect.stringContaining('(not)'),
      });
    expect(await search.find(kernel, never)).toMatchObject({ kind: 'ready' });
  });
});
