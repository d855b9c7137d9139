import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import net, { type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { freePort } from '../testing/free-port.ts';
import { serveMetrics } from './listener.ts';
import { Scrape } from './scrape.ts';

const kubelet = '127.0.0.2';

/** A port with one series, and how often it was read. */
async function serving(held?: Promise<void>) {
  const port = await freePort();
  const scrape = new Scrape();
  const reads = { count: 0 };
  scrape.read(async () => {
    reads.count += 1;
    await held;
    await new Promise((resolve) => setImmediate(resolve));
  });
  const sockets: Socket[] = [];
  const end = await serveMetrics(`127.0.0.1:${port}`, scrape, () => true);
  return {
    reads,
    connect: async (localAddress: string): Promise<Socket> => {
      const socket = net.connect({ port, host: '127.0.0.1', localAddress }).on('error', () => undefined);
      sockets.push(socket);
      await once(socket, 'connect');
      return socket;
    },
    ask: async (path: string, localAddress: string): Promise<IncomingMessage> =>
      await new Promise((resolve, reject) => {
        get({ port, path, localAddress, agent: false }, resolve).on('error', reject);
      }),
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
      end();
    },
  };
}

test.each([
  { sentence: 'says nothing', begins: '' },
  { sentence: 'never ends its headers', begins: 'GET /metrics HTTP/1.1\r\n' },
])(
  'who opens many connections and $sentence has 64 of them, and the probes of others are answered',
  async ({ begins }) => {
    using port = await serving();
    const standing = await port.connect(kubelet);
    const idle: Socket[] = [];
    for (let i = 0; i < 300; i += 1) {
      const socket = await port.connect('127.0.0.1');
      socket.write(begins);
      idle.push(socket);
    }
    for (let i = 0; i < 3; i += 1) expect((await port.ask('/healthz', kubelet)).statusCode).toBe(200);
    await until(() => idle.filter(({ destroyed }) => !destroyed).length < 64);
    // What was open before the flood was not ended by it.
    standing.end('GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    expect(await text(standing)).toMatch(/^HTTP\/1.1 200 OK/);
  },
);

test('all who scrape at once share one answer', async () => {
  using port = await serving();
  const answers = await Promise.all(Array.from({ length: 40 }, () => port.ask('/metrics', '127.0.0.1')));
  for (const answer of answers) expect(await text(answer)).toContain('process_cpu_seconds_total');
  expect(port.reads.count).toBeLessThan(20);
});

test('who sends many scrapes at once on one connection loses it, and the next scrape is answered', async () => {
  const held = Promise.withResolvers<void>();
  using port = await serving(held.promise);
  const socket = await port.connect('127.0.0.1');
  socket.resume().write('GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(2_000));
  await new Promise((resolve) => socket.once('close', resolve));
  expect(socket.bytesRead).toBe(0);
  held.resolve();
  expect((await port.ask('/metrics', kubelet)).statusCode).toBe(200);
  expect(port.reads.count).toBeLessThanOrEqual(2);
});
