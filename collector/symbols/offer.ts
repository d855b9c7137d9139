import { createHash } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { oneRequestServer } from '@kcorder/proto/bounds/one-request.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { SymbolCache } from './cache/cache.ts';
import type { CacheEntry } from './cache/entry.ts';
import { type IsfBytes, withBanner } from './isf-banner.ts';
import { SingleFlight } from './single-flight.ts';

/** ISFs that are searched for their banner at once. */
const searchesAtOnce = 2;
const mostConnections = 16;
/** For the head of a request and for its whole, and between two looks at who is over it. In ms. */
const limits = {
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 2_000,
  connectionsCheckingInterval: 1_000,
};
/** A peer that takes nothing of its answer for so long is gone. */
const silentMs = 20_000;

/**
 * Offers the kept ISFs over HTTP to any Volatility 3: `/index.json` is what its option --remote-isf-url takes (volatility3.framework.automagic.symbol_cache,
 * RemoteIdentifierFormat version 1: banner to URLs), `/isf/<SHA-256>.json` an ISF,
 * `/isf/<SHA-256>-<digest>.json` the same with the banner of an image. There is nothing else, nothing can be written, and nobody is asked who he is. Throws config_invalid.
 */
export async function offerSymbols(cache: SymbolCache, address: string): Promise<Server> {
  const searches = new SingleFlight<IsfBytes>(searchesAtOnce);
  const server = oneRequestServer({ ...limits, maxHeaderSize: 8 << 10 }, (request, response) => {
    answer(cache, searches, request, response).catch(() => response.destroy());
  });
  server.maxConnections = mostConnections;
  server.setTimeout(silentMs);
  const [, host = '', port = ''] = /^(.+):(\d+)$/.exec(address) ?? [];
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new Fault('config_invalid', `the symbols cannot be offered on ${address}: see whether another program does`, {
          cause,
        }),
      ),
    );
    server.listen(Number(port), host.replace(/^\[|\]$/g, ''), resolve);
  });
  return server;
}

async function answer(
  cache: SymbolCache,
  searches: SingleFlight<IsfBytes>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'only GET is answered');
  const path = request.url ?? '';
  if (path === '/index.json') {
    const body = Buffer.from(JSON.stringify(indexOf(cache, request.headers.host ?? 'localhost')));
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    response.end(request.method === 'HEAD' ? undefined : body);
    return;
  }
  const sha256 = path.slice(5, 69);
  const same = cache.list().filter(({ entry }) => entry.sha256 === sha256);
  const kept = same.find(({ entry }) => namesOf(entry).some((name) => pathOf(entry, name) === path))?.entry;
  const banner = kept && namesOf(kept).find((name) => pathOf(kept, name) === path);
  if (kept === undefined || banner === undefined)
    return refuse(response, 404, 'there is /index.json, and what it names');
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const find = (signal: AbortSignal) => withBanner(cache.isfPath(kept), kept.sizeBytes, kept.banner, banner, signal);
  // With its own banner there is nothing to search for, and no turn to wait for.
  const isf = await (banner === kept.banner ? find(gone.signal) : searches.run(path, find, gone.signal));
  gone.signal.throwIfAborted();
  const headers = {
    'content-type': 'application/json',
    'content-length': isf.sizeBytes,
    etag: `"${path.slice(5, -5)}"`,
    connection: 'close',
  };
  if (request.method === 'HEAD') {
    response.writeHead(200, headers).end();
    return;
  }
  response.writeHead(200, headers);
  await pipeline(isf.read(), response);
}

/** Every banner that an ISF is offered under. */
function namesOf({ banner, imageBanners = [] }: CacheEntry): readonly string[] {
  return [...new Set([banner, ...imageBanners])];
}

/** A path for each banner of an ISF: Volatility's cache takes each URL under one banner only. */
function pathOf({ sha256, banner }: CacheEntry, name: string): string {
  const digest = name === banner ? '' : `-${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
  return `/isf/${sha256}${digest}.json`;
}

/**
 * Index of banners, each the whole text of linux_banner with its line end, for which Volatility scans an image. A banner
 * from a kernel's file goes before one that a node told or an image had.
 */
function indexOf(cache: SymbolCache, host: string) {
  const linux: Record<string, string[]> = {};
  const byName = new Map<string, CacheEntry[]>();
  for (const { entry } of cache.list()) {
    for (const name of namesOf(entry)) {
      const same = byName.get(name);
      if (same === undefined) byName.set(name, [entry]);
      else same.push(entry);
    }
  }
  for (const [name, same] of byName) {
    const sound = same.filter(({ quality, bannerTold }) => quality !== 'btf' && bannerTold !== true);
    const own = sound.filter(({ banner }) => banner === name);
    const trusted = own.length > 0 ? own : sound.length > 0 ? sound : agreed(same);
    if (trusted.length > 0) {
      const urls = trusted.map((entry) => `http://${host}${pathOf(entry, name)}`);
      linux[Buffer.from(`${name}\n\0`).toString('base64')] = [...new Set(urls)];
    }
  }
  return { version: 1, linux, mac: {}, windows: {} };
}

/** All entries when they have one ISF, else none: one of the nodes lies, and from here nobody can tell which. */
function agreed(entries: readonly CacheEntry[]): readonly CacheEntry[] {
  return new Set(entries.map(({ sha256 }) => sha256)).size === 1 ? entries : [];
}

function refuse(response: ServerResponse, status: number, sentence: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${sentence}\n`);
}
