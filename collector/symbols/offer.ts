import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { oneRequestServer } from '@kcorder/proto/bounds/one-request.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { BannerIndex, namesOf, pathOf } from './banner-index.ts';
import type { SymbolCache } from './cache/cache.ts';
import { type IsfBytes, withBanner } from './isf-banner.ts';
import { SingleFlight } from './single-flight.ts';

/** ISFs that are searched for their banner at once. */
const searchesAtOnce = 2;
const mostConnections = 16;
/** A peer that takes nothing of its answer for so long is gone. */
const silentMs = 20_000;
/** Before each piece of an index: the kernel may take all of them in one turn of the event loop. */
const pieceMs = 5;
/** A DNS name, an IPv4 or a bracketed IPv6 address, and a port: it becomes part of each URL. */
const hostForm = /^(?:[a-z0-9._-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

interface Offer {
  readonly cache: SymbolCache;
  readonly index: BannerIndex;
  readonly searches: SingleFlight<IsfBytes>;
}

/**
 * Offers the kept ISFs over HTTP to any Volatility 3: `/index.json` is what its option --remote-isf-url takes (volatility3.framework.automagic.symbol_cache,
 * RemoteIdentifierFormat version 1: banner to URLs), `/isf/<SHA-256>.json` an ISF,
 * `/isf/<SHA-256>-<digest>.json` the same with the banner of an image. There is nothing else, nothing can be written, and nobody is asked who he is. Throws config_invalid.
 */
export async function offerSymbols(cache: SymbolCache, address: string): Promise<Server> {
  const searches = new SingleFlight<IsfBytes>(searchesAtOnce);
  const offer: Offer = { cache, index: new BannerIndex(cache), searches };
  const server = oneRequestServer((request, response) => {
    answer(offer, request, response).catch(() => response.destroy());
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

async function answer(offer: Offer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'only GET is answered');
  const path = request.url ?? '';
  if (path === '/index.json') return await answerIndex(offer.index, request, response);
  const { cache, searches } = offer;
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

async function answerIndex(index: BannerIndex, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { host = 'localhost' } = request.headers;
  if (!hostForm.test(host)) return refuse(response, 400, 'the host of the request is no name or address');
  const { sizeBytes, read } = index.of(host);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': sizeBytes });
  if (request.method === 'HEAD') response.end();
  else await pipeline(paced(read()), response);
}

async function* paced(pieces: Iterable<Buffer>): AsyncIterable<Buffer> {
  for (const piece of pieces) {
    await sleep(pieceMs);
    yield piece;
  }
}

function refuse(response: ServerResponse, status: number, sentence: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${sentence}\n`);
}
