import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { until } from '../testing/files.ts';
import { SymbolCache } from './cache/cache.ts';
import { offerSymbols } from './offer.ts';
import { makeIsf } from './testing/symbol-files.ts';

/** Searches for a banner that run, and until when they are held. */
const searches = vi.hoisted(() => ({ begun: 0, ended: 0, held: Promise.resolve() }));
vi.mock('./isf-banner.ts', async (original) => {
  const { withBanner, ...others } = await original<typeof import('./isf-banner.ts')>();
  return {
    ...others,
    withBanner: async (...given: Parameters<typeof withBanner>) => {
      searches.begun += 1;
      await searches.held;
      return await withBanner(...given).finally(() => {
        searches.ended += 1;
      });
    },
  };
});

setFlagsFromString('--expose-gc');
const collectGarbage: unknown = runInNewContext('gc');

function heldBytes(): number {
  if (typeof collectGarbage === 'function') collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

let home: string;
let cache: SymbolCache;
let server: Server;
let port: number;
beforeEach(async () => {
  Object.assign(searches, { begun: 0, ended: 0, held: Promise.resolve() });
  home = await mkdtemp(join(tmpdir(), 'kcorder-offer-flood-'));
  cache = await SymbolCache.open(home, 1 << 24);
  server = await offerSymbols(cache, '127.0.0.1:0');
  ({ port } = server.address() as AddressInfo);
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(home, { recursive: true, force: true });
});

const banner = (index: number) => `Linux version 6.${index} (b@h) (gcc) #1`;

/** Keeps an ISF, and the banner that an image had. Returns the path of each. */
async function keep(index: number, padding = 0): Promise<{ readonly own: string; readonly image: string }> {
  await using scratch = await cache.scratch();
  const draft = join(scratch.path, 'draft');
  const content = makeIsf(banner(index), padding);
  await writeFile(draft, content);
  const sha256 = createHash('sha256').update(content).digest('hex');
  await cache.keep(draft, {
    key: `aaaaaaaa-${index}`,
    buildId: '',
    banner: banner(index),
    sha256,
    sizeBytes: content.length,
    quality: 'provided',
    pinned: false,
    builderRevision: 1,
    remarks: [],
    release: '6.1',
    architecture: 'x86_64',
    source: 'a test',
    origin: '',
    builtAt: '2026-01-01T00:00:00Z',
  });
  const other = `${banner(index)} (U)`;
  await cache.noteImageBanner(sha256, other);
  const digest = createHash('sha256').update(other).digest('hex').slice(0, 16);
  return { own: `/isf/${sha256}.json`, image: `/isf/${sha256}-${digest}.json` };
}

const connect = () => net.connect(port, '127.0.0.1').on('error', () => undefined);
const ended = (socket: net.Socket) => new Promise((resolve) => socket.once('close', resolve));
const ask = async (path: string, method = 'GET') => await fetch(`http://127.0.0.1:${port}${path}`, { method });

test('who asks for an ISF many times at once on one connection has it opened once, and loses the connection', async () => {
  const { own } = await keep(1, 8 << 20);
  const socket = connect();
  socket.write(`GET ${own} HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(200));
  await ended(socket.resume());
  expect(searches.begun).toBeLessThanOrEqual(1);
  const answer = await ask(own);
  expect(answer.status).toBe(200);
  // Another ISF is another connection.
  expect(answer.headers.get('connection')).toBe('close');
  expect(await answer.text()).toBe(makeIsf(banner(1), 8 << 20));
});

test('two ISFs are searched for a banner at once; others wait, and who has gone waits no longer', async () => {
  const paths = await Promise.all([1, 2, 3, 4, 5, 6].map(async (index) => (await keep(index)).image));
  let asked = 0;
  server.on('request', () => {
    asked += 1;
  });
  const held = Promise.withResolvers<void>();
  searches.held = held.promise;
  const [gone = '', ...others] = paths;
  const answers = others.map((path) => ask(path, 'HEAD'));
  await until(() => asked === 5);
  const socket = connect();
  socket.write(`HEAD ${gone} HTTP/1.1\r\nhost: x\r\n\r\n`);
  await until(() => asked === 6);
  const left = new Promise<void>((resolve) => {
    server.getConnections((_, before) => {
      socket.destroy();
      const look = () => server.getConnections((__, now) => (now < before ? resolve() : setImmediate(look)));
      look();
    });
  });
  await left;
  expect(searches.begun).toBe(2);
  // What needs no search waits for none.
  expect((await ask('/index.json')).status).toBe(200);
  held.resolve();
  for (const answer of answers) expect((await answer).status).toBe(200);
  expect(searches.begun).toBe(5);
});

test('there are 16 connections; one more is closed', async () => {
  const sockets = Array.from({ length: 40 }, connect);
  await until(() => sockets.filter(({ destroyed }) => destroyed).length === 24);
  for (const socket of sockets) socket.resume().destroy();
});

/** Has the cache list 2,000 entries, each with a banner as long as a node may tell. */
async function listLong() {
  await keep(1);
  const [kept] = cache.list();
  if (kept === undefined) throw new Error('nothing is kept');
  let looked = 0;
  const long = (number: number) => `Linux version 6.${number} ${'z'.repeat(4_000)}`;
  const entries = Array.from({ length: 2_000 }, (_, number) => ({
    usedMs: 0,
    entry: {
      ...kept.entry,
      imageBanners: [],
      get banner() {
        looked += 1;
        return long(number);
      },
    },
  }));
  vi.spyOn(cache, 'list').mockReturnValue(entries);
  return { kept, entries: entries.length, looked: () => looked };
}

test('an index of 2,000 long banners is made once for all who ask, and waits in small pieces for those who take nothing', async () => {
  const { kept, entries, looked } = await listLong();
  const served: net.Socket[] = [];
  server.on('connection', (socket) => served.push(socket));
  const host = 'h'.repeat(255);
  let asked = 0;
  server.on('request', () => {
    asked += 1;
  });
  const before = heldBytes();
  const crowd = Array.from({ length: 15 }, () => {
    const socket = connect().pause();
    socket.write(`GET /index.json HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    return socket;
  });
  await until(() => asked === 15 && served.every(({ writableLength }) => writableLength > 0));
  const indexBytes = entries * 5_400;
  const pendingBytes = served.reduce((sum, { writableLength }) => sum + writableLength, 0);
  expect(pendingBytes).toBeLessThan(15 * (200 << 10));
  // Memory of buffers that are collected is given back a little later, by another thread; nobody takes anything meanwhile.
  await until(() => heldBytes() - before < 2 * indexBytes);
  const lookedOnce = looked();
  expect(lookedOnce).toBeLessThan(10 * entries);
  // Who began before a change gets the whole of what there was, and who comes after it the new.
  vi.mocked(cache.list).mockReturnValue([kept]);
  await cache.pin(kept.entry.key, true);
  expect(Object.keys(JSON.parse(await (await ask('/index.json')).text()).linux)).toHaveLength(2);
  const [slow, ...others] = crowd;
  for (const socket of others) socket.destroy();
  const text = Buffer.concat((await slow?.toArray()) ?? []).toString('latin1');
  const { linux }: { linux: Record<string, string[]> } = JSON.parse(text.slice(text.indexOf('\r\n\r\n')));
  expect(Object.keys(linux)).toHaveLength(2_000);
  expect(Object.values(linux)[0]).toEqual([`http://${host}/isf/${kept.entry.sha256}.json`]);
  expect(looked()).toBe(lookedOnce);
});

test('an index that its peer takes at once does not go out in one turn of the event loop', async () => {
  await listLong();
  const served: net.Socket[] = [];
  server.on('connection', (raw) => served.push(raw));
  const client = connect().resume();
  client.write('GET /index.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  let [before, most] = [0, 0];
  while (!client.destroyed) {
    await new Promise(setImmediate);
    const { bytesWritten = 0 } = served[0] ?? {};
    most = Math.max(most, bytesWritten - before);
    before = bytesWritten;
  }
  expect(before).toBeGreaterThan(2_000 * 5_400);
  expect(most).toBeLessThan(200 << 10);
});
