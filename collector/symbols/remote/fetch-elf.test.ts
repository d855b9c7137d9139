import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeScratch } from '../../testing/files.ts';
import { type ElfRequest, fetchElf } from './fetch-elf.ts';
import { type DebugElf, makeDebugElf } from './testing/debug-elf.ts';
import { quick, small } from './testing/quick.ts';
import { type Behaviour, SymbolServer } from './testing/symbol-server.ts';

const never = new AbortController().signal;
const buildId = '3b43fad5034874490492495d552c0af6a5fab235';
const otherBuildId = '00112233445566778899aabbccddeeff00112233';
const elf = makeDebugElf(buildId);
const needed = ['.notes', '.debug_info', '.debug_str', '.symtab', '.strtab', '.shstrtab'];
const neededBytes = needed.reduce((sum, name) => sum + part(elf, name).lengthBytes, 0);

function part(file: DebugElf, name: string) {
  const found = file.sections.get(name);
  if (found === undefined) throw new Error(`no section ${name}`);
  return found;
}

function bytesOf(file: DebugElf, bytes: Buffer, name: string): Buffer {
  const { offsetBytes, lengthBytes } = part(file, name);
  return bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
}

function changed(change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(elf.bytes);
  change(bytes);
  return bytes;
}

interface Options extends Partial<Omit<ElfRequest, 'url' | 'path'>> {
  readonly bytes?: Buffer;
  readonly script?: readonly Behaviour[] | ((nth: number) => Behaviour);
  readonly signal?: AbortSignal;
}

/** Fetches from a server that behaves so; tells what is then in the folder. */
async function fetchFrom({ bytes = elf.bytes, script = [], signal = never, ...request }: Options) {
  await using server = await SymbolServer.start();
  using scratch = makeScratch();
  const url = server.put('/vmlinux', bytes, script);
  const path = join(scratch.dir, 'vmlinux');
  const limits = { timeouts: quick, limits: small, buildId };
  const end = await fetchElf({ ...limits, url, path, ...request }, signal).catch((error: unknown) => ({
    thrown: error,
  }));
  const files = await readdir(scratch.dir);
  const content = files.length === 0 ? undefined : await readFile(path);
  const allocatedBytes = files.length === 0 ? 0 : (await stat(path)).blocks * 512;
  return { end, content, allocatedBytes, asked: server.asked, servedBytes: server.servedBytes };
}

function expectParts(file: DebugElf, content: Buffer | undefined): void {
  expect(content?.length).toBe(file.bytes.length);
  if (content === undefined) return;
  for (const name of needed)
    expect(bytesOf(file, content, name).equals(bytesOf(file, file.bytes, name)), name).toBe(true);
  expect(content.subarray(0, 64).equals(file.bytes.subarray(0, 64))).toBe(true);
  const table = 64 * 9;
  expect(content.subarray(-table).equals(file.bytes.subarray(-table))).toBe(true);
}

test('with ranges only what is needed comes, and lies at its own place in a sparse file', async () => {
  const progress: [number, number][] = [];
  const got = await fetchFrom({ onProgress: (done, total) => progress.push([done, total]) });
  expect(got.end).toEqual({ kind: 'fetched', bytesRead: got.servedBytes, sizeBytes: elf.bytes.length });
  expectParts(elf, got.content);
  expect(got.servedBytes).toBeLessThan(neededBytes + 6 * small.pageBytes);
  expect(got.allocatedBytes).toBeLessThan(elf.bytes.length * 0.6);
  expect(
    bytesOf(elf, got.content ?? Buffer.alloc(0), '.rela.debug_info')
      .subarray(8192, -8192)
      .every((byte) => byte === 0),
  ).toBe(true);
  const [done, total] = progress.at(-1) ?? [0, 1];
  expect(done).toBe(total);
  expect(got.asked.every(({ status }) => status === 206)).toBe(true);
  expect(got.asked.slice(1).every(({ headers }) => headers['if-range'] === '"one"')).toBe(true);
});

test.each<[string, Behaviour]>([
  ['no ranges', { ignoreRange: true }],
  ['no ranges and no length', { ignoreRange: true, chunked: true }],
  ['no ranges and no length that HTTP/1.1 knows', { ignoreRange: true, lengthless: true }],
])('a server with %s is read once', async (_what, how) => {
  const got = await fetchFrom({ script: () => how });
  expect(got.end).toEqual({ kind: 'fetched', bytesRead: elf.bytes.length, sizeBytes: elf.bytes.length });
  expect(got.content?.equals(elf.bytes)).toBe(true);
  expect(got.asked).toHaveLength(1);
});

test.each<[string, (nth: number) => Behaviour]>([
  ['a wrong Content-Range each time', () => ({ headers: { 'content-range': 'bytes 7-4102/100000' } })],
  ['a Content-Range without the total', () => ({ headers: { 'content-range': 'bytes 0-4095/*' } })],
  ['gzip of ranges', (nth) => (nth < 2 ? { gzip: true } : {})],
  ['another ETag each time', (nth) => ({ etag: `"${nth}"` })],
])('a server with %s is read whole in the end', async (_what, script) => {
  const got = await fetchFrom({ script });
  expect(got.end).toMatchObject({ kind: 'fetched', sizeBytes: elf.bytes.length });
  expect(got.content?.equals(elf.bytes)).toBe(true);
  expect(got.asked.at(-1)?.range).toBeUndefined();
});

test.each<[string, Behaviour[]]>([
  [
    'cuts and errors of every kind',
    [{ cutBytes: 1000 }, {}, { status: 500 }, {}, {}, { cutBytes: 5000 }, { status: 429 }, {}, { cutBytes: 1 }],
  ],
  ['a silent part', [{}, {}, {}, {}, { stallBytes: 9000 }]],
])('%s do not matter', async (_what, script) => {
  const got = await fetchFrom({ script, timeouts: { ...quick, idleMs: 300, attempts: 4 } });
  expect(got.end).toMatchObject({ kind: 'fetched' });
  expectParts(elf, got.content);
});

test('a file that is replaced between two ranges is read anew, and no two are mixed', async () => {
  const newer = makeDebugElf(buildId, 128 << 10);
  const got = await fetchFrom({ script: (nth) => (nth < 6 ? {} : { bytes: newer.bytes, etag: '"two"' }) });
  expect(got.end).toMatchObject({ kind: 'fetched', sizeBytes: newer.bytes.length });
  expectParts(newer, got.content);
});

test('another build-id ends it before anything large is read', async () => {
  const got = await fetchFrom({ buildId: otherBuildId });
  expect(got.end).toEqual({ kind: 'mismatch', buildId });
  expect(got.content).toBeUndefined();
  expect(got.servedBytes).toBeLessThan(4 * small.pageBytes);
});

test('another build-id is noticed without ranges too', async () => {
  const got = await fetchFrom({ buildId: otherBuildId, script: [{ ignoreRange: true }] });
  expect(got.end).toEqual({ kind: 'mismatch', buildId });
  expect(got.content).toBeUndefined();
});

const rejected = (problem: string) => ({ kind: 'rejected', problem: expect.stringContaining(problem) });
const failed = (reason: string) => ({ kind: 'failed', transient: true, reason: expect.stringContaining(reason) });
const huge = String(10 * 2 ** 30);

test.each<[string, Options, object]>([
  ['404', { script: [{ status: 404 }] }, { kind: 'absent', status: 404 }],
  ['403', { script: [{ status: 403 }] }, { kind: 'forbidden', status: 403 }],
  ['404 in the middle', { script: [{}, {}, {}, {}, {}, { status: 404 }] }, { kind: 'absent', status: 404 }],
  [
    'a page of text',
    { bytes: Buffer.from('<html>not here</html>'.repeat(100)) },
    rejected('no 64-bit little-endian ELF'),
  ],
  ['nothing', { bytes: Buffer.alloc(0), script: [{ ignoreRange: true }] }, rejected('no 64-bit little-endian ELF')],
  ['an empty file by ranges', { script: [{ status: 416 }] }, rejected('empty')],
  ['a 32-bit file', { bytes: changed((bytes) => bytes.writeUInt8(1, 4)) }, rejected('no 64-bit little-endian ELF')],
  [
    'no build-id',
    { bytes: changed((bytes) => bytesOf(elf, bytes, '.notes').write('Xen', 12)) },
    rejected('no GNU build-id'),
  ],
  [
    'a kernel module',
    { bytes: changed((bytes) => bytes.writeUInt16LE(1, 16)) },
    rejected('cannot be read: ELF header'),
  ],
  [
    'a section behind the end',
    { bytes: changed((bytes) => bytes.writeBigUInt64LE(1n << 40n, bytes.length - 64 * 5 + 32)) },
    rejected('ends before its section .debug_info'),
  ],
  ['too much debugging information', { limits: { ...small, neededBytes: 1000 } }, rejected('of debugging information')],
  ['10 GiB by range', { script: [{ headers: { 'content-range': `bytes 0-4095/${huge}` } }] }, rejected(huge)],
  [
    '10 GiB declared',
    { script: [{ ignoreRange: true, headers: { 'content-length': huge } }] },
    rejected('larger than'),
  ],
  [
    'an endless body',
    { script: [{ ignoreRange: true, endless: true }], limits: { ...small, fileBytes: 2 << 20 } },
    rejected('larger than 2097152 bytes'),
  ],
  [
    'a file cut where nobody could notice',
    { script: [{ ignoreRange: true, lengthless: true, bytes: elf.bytes.subarray(0, 500_000) }] },
    failed('ended before its section headers'),
  ],
  ['gzip of the whole', { script: () => ({ gzip: true }) }, rejected('content coding')],
  ['503 for ever', { script: () => ({ status: 503 }) }, failed('answered 503')],
  ['503 for ever after the headers', { script: (nth) => (nth < 5 ? {} : { status: 503 }) }, failed('answered 503')],
  ['a cut at every restart', { script: () => ({ ignoreRange: true, cutBytes: 9000 }) }, failed('tried 3 times')],
  [
    'silence for ever',
    { script: () => ({ stallBytes: 100 }), timeouts: { ...quick, idleMs: 30 } },
    failed('sent no byte'),
  ],
  [
    'no end in sight',
    { script: () => ({ dripBytes: 10 }), timeouts: { ...quick, wallMs: 100 } },
    failed('did not end'),
  ],
  [
    'an abort',
    { script: (nth) => (nth < 5 ? {} : { dripBytes: 10 }), signal: AbortSignal.timeout(150) },
    { thrown: expect.objectContaining({ name: 'TimeoutError' }) },
  ],
])('%s leaves no file', async (_what, options, expected) => {
  const got = await fetchFrom(options);
  expect(got.end).toMatchObject(expected);
  expect(got.content).toBeUndefined();
});

test('a file that is there already stays as it is', async () => {
  await using server = await SymbolServer.start();
  using scratch = makeScratch();
  const path = join(scratch.dir, 'vmlinux');
  await writeFile(path, 'mine');
  const request = { url: server.put('/vmlinux', elf.bytes), path, buildId, timeouts: quick };
  await expect(fetchElf(request, never)).rejects.toThrow('EEXIST');
  expect(await readFile(path, 'utf8')).toBe('mine');
});
