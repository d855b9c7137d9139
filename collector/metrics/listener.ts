import { createServer } from 'node:http';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Scrape } from './scrape.ts';

/**
 * Serves /metrics over HTTP, and for probes /healthz and /readyz; nothing else is there to be read. /readyz is good once `ready` is true. Returns the
 * function that ends it. Throws config_invalid when the port is taken.
 */
export async function serveMetrics(address: string, scrape: Scrape, ready: () => boolean): Promise<() => void> {
  const server = createServer((request, response) => {
    if (request.method === 'GET' && (request.url === '/healthz' || request.url === '/readyz')) {
      const good = ready() || request.url === '/healthz';
      response.writeHead(good ? 200 : 503).end(good ? 'ok\n' : 'starting\n');
      return;
    }
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    scrape.text().then(
      (text) => response.writeHead(200, { 'content-type': scrape.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  server.requestTimeout = 10_000;
  const at = address.lastIndexOf(':');
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new Fault('config_invalid', `the metrics cannot be served on ${address}: see whether another program does`, {
          cause: error,
        }),
      );
    });
    server.listen(Number(address.slice(at + 1)), address.slice(0, at), resolve);
  });
  return () => void server.close();
}
