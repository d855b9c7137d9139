import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { makeScratch } from '../../testing/files.ts';
import { makeDebugElf } from '../remote/testing/debug-elf.ts';
import { quick, small } from '../remote/testing/quick.ts';
import { SymbolServer } from '../remote/testing/symbol-server.ts';
import type { KernelIdentity } from '../symbols.ts';
import { bucketCandidates, createBucketSource } from './bucket.ts';
import { cosCandidates, cosToolsUrl, createCosSource } from './cos.ts';
import { createDebuginfodSource, debuginfodCandidates } from './debuginfod.ts';
import type { SymbolSource } from './source.ts';

const never = new AbortController().signal;
const buildId = '3b43fad5034874490492495d552c0af6a5fab235';
const otherBuildId = '00112233445566778899aabbccddeeff00112233';
const elf = makeDebugElf(buildId, 64 << 10);
const settings = { timeouts: quick, elfLimits: small, isfLimitBytes: 1 << 20 };
const kernel: KernelIdentity = {
  ...{ buildId, banner: '', release: '6.6.72+', architecture: 'x86_64' },
  cosBuildId: '18244.582.2',
};
const isf = Buffer.from('{"metadata":{}}');

/** Asks a source; tells which files are then in the folder. */
async function find(source: SymbolSource, wanted = kernel) {
  using scratch = makeScratch();
  const search = { scratchPath: scratch.dir, refusedElfs: [], progress: () => {}, signal: never };
  const found = await source.seek(wanted, search);
  const files = await readdir(scratch.dir);
  const content = 'path' in found ? await readFile(found.path) : undefined;
  return { found, files, content, dir: scratch.dir };
}

test.each<[string, Partial<KernelIdentity>, string[]]>([
  ['x86-64', {}, ['18244.582.2/vmlinux', '18244.582.2/lakitu/vmlinux']],
  ['aarch64', { architecture: 'aarch64' }, ['18244.582.2/lakitu-arm64/vmlinux', '18244.582.2/vmlinux']],
  ['a path', { cosBuildId: '../../1.2.3' }, []],
  ['a path at the end', { cosBuildId: '1.2.3/../x' }, []],
  ['a line end', { cosBuildId: '1.2.3\n' }, []],
  ['a query', { cosBuildId: '1.2.3?x' }, []],
  ['none', { cosBuildId: '' }, []],
])('COS, %s', (_what, change, expected) => {
  const urls = cosCandidates(new URL(cosToolsUrl), { ...kernel, ...change }).map(({ href }) => href);
  expect(urls).toEqual(expected.map((path) => `${cosToolsUrl}/${path}`));
});

test('debuginfod servers, one after the other', () => {
  const servers = [new URL('https://one.example/'), new URL('https://two.example/sub')];
  expect(debuginfodCandidates(servers, buildId).map(({ href }) => href)).toEqual([
    `https://one.example/buildid/${buildId}/debuginfo`,
    `https://two.example/sub/buildid/${buildId}/debuginfo`,
  ]);
});

test('the names in a bucket, with its signature', () => {
  const urls = bucketCandidates(new URL('https://a.example/b/?sig=1'), buildId).map(({ kind, url }) => [
    kind,
    url.href,
  ]);
  expect(urls).toEqual([
    ['isf', `https://a.example/b/${buildId}.json.xz?sig=1`],
    ['isf', `https://a.example/b/${buildId}.json.gz?sig=1`],
    ['isf', `https://a.example/b/${buildId}.json?sig=1`],
    ['elf', `https://a.example/b/${buildId}.debug?sig=1`],
    ['elf', `https://a.example/b/${buildId}/vmlinux?sig=1`],
    ['elf', `https://a.example/b/.build-id/3b/${buildId.slice(2)}.debug?sig=1`],
  ]);
});

test.each(['', 'abc', '../../../../etc/passwd', `${buildId}/..`, buildId.toUpperCase(), 'ab'.repeat(33), 'abcdef012'])(
  'the build-id "%s" never gets into a URL',
  async (bad) => {
    const base = new URL('https://a.example');
    expect(debuginfodCandidates([base], bad)).toEqual([]);
    expect(bucketCandidates(base, bad)).toEqual([]);
    for (const source of [createCosSource(base), createDebuginfodSource([base]), createBucketSource([base])]) {
      expect((await find(source, { ...kernel, buildId: bad })).found).toMatchObject({
        kind: 'nothing',
        transient: false,
      });
    }
  },
);

test('COS: the second place has it', async () => {
  await using server = await SymbolServer.start();
  const url = server.put('/mirror/18244.582.2/lakitu/vmlinux', elf.bytes);
  const { found, content, dir } = await find(createCosSource(server.url('/mirror'), settings));
  expect(found).toEqual({ kind: 'elf', path: join(dir, 'cos-1.vmlinux'), from: url.href });
  expect(content?.length).toBe(elf.bytes.length);
});

test('COS: nothing fits, and each place says why', async () => {
  await using server = await SymbolServer.start();
  const first = server.put('/18244.582.2/vmlinux', makeDebugElf(otherBuildId).bytes);
  const second = server.put('/18244.582.2/lakitu/vmlinux', Buffer.from('<html>'));
  const { found, files } = await find(createCosSource(server.base, settings));
  const mismatch = `has the build-id ${otherBuildId}, the node's kernel has ${buildId}`;
  const rejected = 'is no 64-bit little-endian ELF file';
  expect(found).toEqual({
    kind: 'nothing',
    looked: [`${first.href}: ${mismatch}`, `${second.href}: ${rejected}`],
    mismatch: `${first.href} ${mismatch}`,
    rejected: `${second.href} ${rejected}`,
    transient: false,
  });
  expect(files).toEqual([]);
});

test('COS: a node of another system asks nobody', async () => {
  await using server = await SymbolServer.start();
  const { found } = await find(createCosSource(server.base, settings), { ...kernel, cosBuildId: '' });
  expect(found).toMatchObject({ kind: 'nothing', transient: false });
  expect(server.asked).toEqual([]);
});

test('debuginfod: a server in trouble does not keep the next from being asked', async () => {
  await using broken = await SymbolServer.start();
  await using good = await SymbolServer.start();
  const path = `/buildid/${buildId}/debuginfo`;
  broken.put(path, elf.bytes, () => ({ status: 502 }));
  const url = good.put(path, elf.bytes, () => ({ ignoreRange: true, chunked: true }));
  const { found, content } = await find(createDebuginfodSource([broken.base, good.base], settings));
  expect(found).toMatchObject({ kind: 'elf', from: url.href });
  expect(content?.equals(elf.bytes)).toBe(true);
});

test.each<[string, number, string, boolean]>([
  ['in trouble', 502, '502; tried 3 times', true],
  ['absent', 404, '404', false],
  ['not ours', 403, '403, no access', false],
])('debuginfod: what is %s', async (_what, status, text, transient) => {
  await using server = await SymbolServer.start();
  server.put(`/buildid/${buildId}/debuginfo`, elf.bytes, () => ({ status }));
  const { found, files } = await find(createDebuginfodSource([server.base], settings));
  expect(found).toMatchObject({ kind: 'nothing', transient, looked: [expect.stringContaining(text)] });
  expect(files).toEqual([]);
});

test('debuginfod: the wall time is for all servers together', async () => {
  await using server = await SymbolServer.start();
  server.put(`/buildid/${buildId}/debuginfo`, elf.bytes, () => ({ stallBytes: 100 }));
  const timeouts = { ...quick, wallMs: 60 };
  const { found } = await find(createDebuginfodSource([server.base, server.base], { ...settings, timeouts }));
  expect(found).toMatchObject({ kind: 'nothing', transient: true });
  if (found.kind === 'nothing') expect(found.looked[1]).toContain('the time for this search was over');
});

test.each<[string, Buffer, string]>([
  ['.json', isf, 'bucket-2.json'],
  ['.json.gz', gzipSync(isf), 'bucket-1.json.gz'],
  ['.json.gz', isf, 'bucket-1.json'],
  ['.json.xz', Buffer.from('fd377a585a000004', 'hex'), 'bucket-0.json.xz'],
])('bucket: an ISF %s is named by what arrived', async (suffix, bytes, name) => {
  await using server = await SymbolServer.start();
  const url = server.put(`/${buildId}${suffix}`, bytes);
  const { found, files, content, dir } = await find(createBucketSource([server.base], settings));
  expect(found).toEqual({ kind: 'isf', path: join(dir, name), from: url.href });
  expect(files).toEqual([name]);
  expect(content?.equals(bytes)).toBe(true);
});

test('bucket: a cut ISF goes on, one that is too large is refused', async () => {
  await using server = await SymbolServer.start();
  const large = Buffer.alloc(400_000, ' ');
  server.put(`/${buildId}.json`, large, [{ cutBytes: 100_000 }, { cutBytes: 100_000 }]);
  expect((await find(createBucketSource([server.base], settings))).content?.equals(large)).toBe(true);
  const { found, files } = await find(createBucketSource([server.base], { ...settings, isfLimitBytes: 399_999 }));
  expect(found).toMatchObject({
    kind: 'nothing',
    transient: false,
    rejected: expect.stringContaining('is larger than'),
  });
  expect(files).toEqual([]);
});

test('bucket: the second of two has it; its signature and password are in no text', async () => {
  await using empty = await SymbolServer.start();
  await using full = await SymbolServer.start();
  const [one, two] = [empty, full].map(({ base }) => new URL(`http://me:secret@${base.host}/b?sig=secret`));
  if (one === undefined || two === undefined) throw new Error('no bucket');
  full.put(`/b/.build-id/3b/${buildId.slice(2)}.debug`, elf.bytes);
  const { found } = await find(createBucketSource([one, two], settings));
  expect(found).toMatchObject({ kind: 'elf', from: `${full.base.origin}/b/.build-id/3b/${buildId.slice(2)}.debug` });
  const nothing = await find(createBucketSource([one], settings));
  expect(JSON.stringify(nothing.found)).not.toContain('secret');
  expect(nothing.found).toMatchObject({
    kind: 'nothing',
    looked: expect.arrayContaining([expect.stringContaining('404')]),
  });
});

test('an abort throws its reason and leaves no file', async () => {
  await using server = await SymbolServer.start();
  using scratch = makeScratch();
  server.put('/18244.582.2/vmlinux', elf.bytes, () => ({ stallBytes: 100 }));
  const controller = new AbortController();
  const { signal } = controller;
  const progress = () => controller.abort('given up');
  const ended = createCosSource(server.base, settings)
    .seek(kernel, { scratchPath: scratch.dir, refusedElfs: [], progress, signal })
    .catch((error: unknown) => error);
  expect(await ended).toBe('given up');
  expect(await readdir(scratch.dir)).toEqual([]);
});
