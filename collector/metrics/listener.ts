import type { IncomingMessage } from 'node:http';
import { oneRequestServer } from '@kcorder/proto/bounds/one-request.ts';
import { sharedAnswer } from '@kcorder/proto/bounds/shared-answer.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Scrape } from './scrape.ts';

type Socket = IncomingMessage['socket'];

const mostConnections = 64;
/** A peer that takes nothing of its answer for so long is gone. */
const silentMs = 10_000;

/**
 * Serves /metrics over HTTP, and for probes /healthz and /readyz; nothing else is there to be read. /readyz is good once `ready` is true. Returns the
 * function that ends it. Throws config_invalid when the port is taken.
 */
export async function serveMetrics(address: string, scrape: Scrape, ready: () => boolean): Promise<() => void> {
  const answer = sharedAnswer(() => scrape.text(), scrape.contentType);
  const server = oneRequestServer((request, response) => {
    if (request.method === 'GET' && (request.url === '/healthz' || request.url === '/readyz')) {
      const good = ready() || request.url === '/healthz';
      response.writeHead(good ? 200 : 503).end(good ? 'ok\n' : 'starting\n');
      return;
    }
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    answer(response);
  });
  server.setTimeout(silentMs);
  const crowd = new Crowd(mostConnections);
  server.on('connection', (socket) => crowd.join(socket));
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

/**
 * The open connections of a port, at most so many. One more ends the oldest of the address that has the most: a peer that opens many ends its own, and
 * whoever comes from elsewhere with few, such as the kubelet, is always served.
 */
class Crowd {
  readonly #most: number;
  /** By address, each in the order of arrival. */
  readonly #open = new Map<string, Set<Socket>>();
  #count = 0;

  constructor(most: number) {
    this.#most = most;
  }

  join(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    if (this.#count >= this.#most) this.#endOne();
    this.#open.set(address, (this.#open.get(address) ?? new Set()).add(socket));
    this.#count += 1;
    socket.once('close', () => this.#left(address, socket));
  }

  #endOne(): void {
    const [largest] = [...this.#open].sort(([, a], [, b]) => b.size - a.size);
    const [oldest] = largest?.[1] ?? [];
    if (largest === undefined || oldest === undefined) return;
    this.#left(largest[0], oldest);
    oldest.destroy();
  }

  #left(address: string, socket: Socket): void {
    const ofAddress = this.#open.get(address);
    if (ofAddress?.delete(socket) !== true) return;
    this.#count -= 1;
    if (ofAddress.size === 0) this.#open.delete(address);
  }
}
