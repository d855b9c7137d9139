import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SymbolCache } from './cache/cache.ts';
import type { CacheEntry } from './cache/entry.ts';
import { offerSymbols } from './offer.ts';
import type { SymbolsQuality } from './symbols.ts';
import { makeIsf } from './testing/symbol-files.ts';

let home: string;
let cache: SymbolCache;
let close: () => void;
let base: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kcorder-offer-'));
  cache = await SymbolCache.open(home, 1 << 20);
  const server = await offerSymbols(cache, '127.0.0.1:0');
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  close = () => {
    server.closeAllConnections();
    server.close();
  };
});
afterEach(async () => {
  close();
  await rm(home, { recursive: true, force: true });
});

async function keep(
  key: string,
  banner: string,
  content: string,
  quality: SymbolsQuality,
  changes: Partial<CacheEntry> = {},
): Promise<string> {
  await using scratch = await cache.scratch();
  const draft = join(scratch.path, 'draft');
  await writeFile(draft, content);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const facts = {
    release: '6.1',
    architecture: 'x86_64',
    cosBuildId: '',
    source: 'a test',
    origin: '',
    builtAt: '2026-01-01T00:00:00Z',
  };
  await cache.keep(draft, {
    key,
    buildId: '',
    banner,
    sha256,
    sizeBytes: content.length,
    quality,
    pinned: false,
    builderRevision: 1,
    remarks: [],
    ...facts,
    ...changes,
  });
  return `${base}/isf/${sha256}.json`;
}

const index = async () =>
  (await (await fetch(`${base}/index.json`)).json()) as { version: number; linux: Record<string, string[]> };
const named = (banner: string) => Buffer.from(`${banner}\n\0`).toString('base64');

test('the index names each banner as the kernel has it, and its URL gives the ISF', async () => {
  const url = await keep('aaaaaaaa', 'Linux version 6.1', '{"one":1}', 'dwarf');
  expect(await index()).toMatchObject({ version: 1, linux: { [named('Linux version 6.1')]: [url] } });
  expect(await (await fetch(url)).text()).toBe('{"one":1}');
  expect((await fetch(url, { method: 'HEAD' })).headers.get('content-length')).toBe('9');
});

test('what nodes sent is offered while they agree, and never beside something better', async () => {
  const node = (digit: string) => `aaaaaaaa.node-${digit.repeat(32)}-${'0'.repeat(16)}`;
  const first = await keep(node('1'), 'Linux version 6.1', '{"types":1}', 'btf');
  await keep(node('2'), 'Linux version 6.1', '{"types":1}', 'btf');
  expect((await index()).linux).toEqual({ [named('Linux version 6.1')]: [first] });
  await keep(node('3'), 'Linux version 6.1', '{"lies":1}', 'btf');
  expect((await index()).linux).toEqual({});
  const better = await keep('aaaaaaaa', 'Linux version 6.1', '{"dwarf":1}', 'dwarf');
  expect((await index()).linux).toEqual({ [named('Linux version 6.1')]: [better] });
});

describe('where images of a kernel have a longer banner than its nodes tell', () => {
  const told = 'Linux version 6 (b@h) (gcc) #1';
  const ubuntu = `${told} (U 6)`;
  const sha256Of = (url: string) => /[0-9a-f]{64}/.exec(url)?.[0] ?? '';
  const node = (digit: string) => `aaaaaaaa.node-${digit.repeat(32)}-${'0'.repeat(16)}`;

  test('the index names both, by a URL each, and the ISF carries the banner that it is found by', async () => {
    const isf = makeIsf(told);
    const url = await keep(node('1'), told, isf, 'btf');
    await cache.noteImageBanner(sha256Of(url), ubuntu);
    const { linux } = await index();
    expect(Object.keys(linux).sort()).toEqual([named(told), named(ubuntu)].sort());
    expect(linux[named(told)]).toEqual([url]);
    // Volatility's cache keeps one banner for a URL: the last.
    const [other = '', ...rest] = linux[named(ubuntu)] ?? [];
    expect(rest).toEqual([]);
    expect(other).not.toBe(url);
    const response = await fetch(other);
    expect(await response.text()).toBe(makeIsf(ubuntu));
    const head = await fetch(other, { method: 'HEAD' });
    for (const { headers } of [response, head]) expect(headers.get('content-length')).toBe(`${makeIsf(ubuntu).length}`);
    expect(await (await fetch(url)).text()).toBe(isf);
    expect((await fetch(`${base}/isf/${sha256Of(url)}-${'0'.repeat(16)}.json`)).status).toBe(404);
  });

  test('a hostile image adds a name and takes none away', async () => {
    const url = await keep(node('1'), told, makeIsf(told), 'btf');
    await cache.noteImageBanner(sha256Of(url), ubuntu);
    const before = (await index()).linux;
    await cache.noteImageBanner(sha256Of(url), `${told} (lie)`);
    expect((await index()).linux).toMatchObject(before);
  });

  test("the banner in a kernel's own file goes before one that an image had", async () => {
    const own = await keep('bbbbbbbb', ubuntu, makeIsf(ubuntu), 'dwarf');
    const lie = await keep(node('1'), told, makeIsf(told), 'btf');
    await cache.noteImageBanner(sha256Of(lie), ubuntu);
    expect((await index()).linux[named(ubuntu)]).toEqual([own]);
    const provided = await keep('banner-1', told, makeIsf(told, 1), 'provided');
    await cache.noteImageBanner(sha256Of(provided), ubuntu);
    expect((await index()).linux[named(ubuntu)]).toEqual([own]);
  });

  test('a node that tells the whole banner, and lies, does not take the place of those who tell less', async () => {
    const honest = await keep(node('1'), told, makeIsf(told), 'btf');
    await cache.noteImageBanner(sha256Of(honest), ubuntu);
    await keep(node('2'), ubuntu, makeIsf(ubuntu, 1), 'btf');
    expect((await index()).linux[named(ubuntu)]).toBeUndefined();
    expect((await index()).linux[named(told)]).toEqual([honest]);
  });

  test("a file of another kernel with a lying node's banner is no better than what nodes sent", async () => {
    const honest = await keep(node('1'), told, makeIsf(told), 'btf');
    await keep('bbbbbbbb-000000000000000', told, makeIsf(told, 1), 'dwarf', { bannerTold: true });
    expect((await index()).linux).toEqual({});
    await cache.remove('bbbbbbbb-000000000000000');
    expect((await index()).linux).toEqual({ [named(told)]: [honest] });
  });
});

test.each([
  ['GET', '/', 404],
  ['GET', '/isf/../kernels/aaaaaaaa.json', 404],
  ['GET', `/isf/${'ab'.repeat(32)}.json`, 404],
  ['POST', '/index.json', 405],
  ['DELETE', '/index.json', 405],
])('%s %s is %d', async (method, path, status) => {
  expect((await fetch(base + path, { method })).status).toBe(status);
});

test('the index looks at each entry once, however many there are', async () => {
  await keep('aaaaaaaa', 'Linux version 6.1', '{}', 'btf');
  const [kept] = cache.list();
  let looked = 0;
  const entries = Array.from({ length: 100 }, (_, index) => ({
    usedMs: 0,
    entry: {
      ...(kept?.entry as CacheEntry),
      get banner() {
        looked += 1;
        return `Linux version 6.${index}`;
      },
    },
  }));
  vi.spyOn(cache, 'list').mockReturnValue(entries);
  expect(Object.keys((await index()).linux)).toHaveLength(100);
  expect(looked).toBeLessThan(10 * entries.length);
});

/** Asks for the index as from a host of this name. */
async function indexFor(host: string): Promise<{ readonly status: number | undefined; readonly text: string }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${base}/index.json`, { headers: { host } }, resolve).on('error', reject);
  });
  return { status: response.statusCode, text: (await response.toArray()).join('') };
}

test.each([
  ['a name', 'kcorder'],
  ['a name and a port', 'a.b-c.example:8080'],
  ['an IPv4 address', '10.0.0.1:80'],
  ['an IPv6 address', '[fd00::1]:8080'],
  ['the longest name', `${'h'.repeat(255)}:65535`],
])('the URLs in the index are of the host that was asked: %s', async (_what, host) => {
  await keep('aaaaaaaa', 'Linux version 6.1', '{"one":1}', 'dwarf');
  await keep('bbbbbbbb', 'Linux version 6.2', '{"two":2}', 'dwarf');
  const { status, text } = await indexFor(host);
  expect(status).toBe(200);
  const { linux }: { linux: Record<string, string[]> } = JSON.parse(text);
  expect(Object.values(linux).flat()).toHaveLength(2);
  for (const url of Object.values(linux).flat()) expect(url.startsWith(`http://${host}/isf/`)).toBe(true);
  const head = await fetch(`${base}/index.json`, { method: 'HEAD' });
  expect(head.headers.get('content-length')).toBe(`${(await indexFor(new URL(base).host)).text.length}`);
});

test.each([
  ['a name that is too long', 'h'.repeat(256)],
  ['a name of 7,000 bytes', 'h'.repeat(7_000)],
  ['a space', 'a b'],
  ['a quote', 'a"b'],
  ['a path', 'a/b'],
  ['a port that is none', 'a:123456'],
  ['an open bracket', '[::1'],
  ['what is not ASCII', 'ex\u00e4mple'],
  ['a pattern of replacement', '$&'],
  ['the mark of the index', '*'],
])('a request whose host is or has %s gets no index', async (_what, host) => {
  await keep('aaaaaaaa', 'Linux version 6.1', '{"one":1}', 'dwarf');
  const { status, text } = await indexFor(host);
  expect([status, text.includes('linux')]).toEqual([400, false]);
});

test('a banner that is longer than any kernel has is not in the index', async () => {
  await keep('aaaaaaaa', `Linux version 6.1 ${'x'.repeat(9_000)}`, '{"one":1}', 'provided');
  expect((await index()).linux).toEqual({});
});

test('an address that is taken is told', async () => {
  await expect(offerSymbols(cache, base.slice('http://'.length))).rejects.toMatchObject({ code: 'config_invalid' });
});
