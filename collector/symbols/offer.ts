import { createReadStream } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import type { SymbolCache } from './cache/cache.ts';
import type { CacheEntry } from './cache/entry.ts';

/**
 * Offers the kept ISFs over HTTP to any Volatility 3: `/index.json` is what its option --remote-isf-url takes (volatility3.framework.automagic.symbol_cache,
 * RemoteIdentifierFormat version 1: banner to URLs), `/isf/<SHA-256>.json` an ISF. There is nothing else, nothing can be written, and nobody is asked who he is. Throws config_invalid.
 */
export async function offerSymbols(cache: SymbolCache, address: string): Promise<Server> {
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (request, response) => {
    answer(cache, request, response).catch(() => response.destroy());
  });
  server.maxConnections = 64;
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

async function answer(cache: SymbolCache, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'only GET is answered');
  const path = request.url ?? '';
  if (path === '/index.json') {
    const body = Buffer.from(JSON.stringify(indexOf(cache, request.headers.host ?? 'localhost')));
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    response.end(request.method === 'HEAD' ? undefined : body);
    return;
  }
  const sha256 = /^\/isf\/([0-9a-f]{64})\.json$/.exec(path)?.[1];
  const kept = cache.list().find(({ entry }) => entry.sha256 === sha256)?.entry;
  if (kept === undefined) return refuse(response, 404, 'there is /index.json, and what it names');
  const headers = { 'content-type': 'application/json', 'content-length': kept.sizeBytes, etag: `"${kept.sha256}"` };
  if (request.method === 'HEAD') {
    response.writeHead(200, headers).end();
    return;
  }
  const file = createReadStream(cache.isfPath(kept));
  response.writeHead(200, headers);
  await pipeline(file, response);
}

/** Volatility compares the whole constant of linux_banner: the banner as the kernel has it, with its line end and its NUL. */
function indexOf(cache: SymbolCache, host: string) {
  const linux: Record<string, string[]> = {};
  const url = ({ sha256 }: CacheEntry): string => `http://${host}/isf/${sha256}.json`;
  const entries = cache.list().map(({ entry }) => entry);
  for (const entry of entries) {
    const same = entries.filter(({ banner }) => banner === entry.banner);
    const offered = same.filter(({ quality }) => quality !== 'btf');
    // Nodes that contradict each other: one of them lies, and from here nobody can tell which.
    const trusted = offered.length > 0 ? offered : new Set(same.map(({ sha256 }) => sha256)).size === 1 ? same : [];
    if (trusted.length > 0) {
      linux[Buffer.from(`${entry.banner}\n\0`).toString('base64')] = [...new Set(trusted.map(url))];
    }
  }
  return { version: 1, linux, mac: {}, windows: {} };
}

function refuse(response: ServerResponse, status: number, sentence: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${sentence}\n`);
}
