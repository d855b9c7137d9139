import { Agent, get, IncomingMessage, ServerResponse } from 'node:http';
import net, { type AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { oneRequestServer } from './one-request.ts';
import { sharedAnswer } from './shared-answer.ts';

/** A port that answers when `answered` is resolved, and how many requests it was given. */
async function serving() {
  const answered = Promise.withResolvers<void>();
  const seen = { requests: 0 };
  const server = oneRequestServer((_, response) => {
    seen.requests += 1;
    void answered.promise.then(() => response.end('answer'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    answered,
    seen,
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const one = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

test.each([
  ['another request', one],
  ['a request without a host, which Node answers itself', 'GET / HTTP/1.1\r\n\r\n'],
  ['an expectation, which Node answers itself', 'GET / HTTP/1.1\r\nhost: x\r\nexpect: x\r\n\r\n'],
  ['an expectation to continue', 'GET / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\r\n'],
])('a connection that sends %s while an answer is pending is ended, and nobody else', async (_, next) => {
  using at = await serving();
  const socket = net.connect(at.port, '127.0.0.1').on('error', () => undefined);
  socket.write(one + next.repeat(2_000));
  const others = fetch(`http://127.0.0.1:${at.port}/`);
  await new Promise((resolve) => socket.resume().once('close', resolve));
  expect(socket.bytesRead).toBe(0);
  at.answered.resolve();
  expect(await (await others).text()).toBe('answer');
  expect(at.seen.requests).toBe(2);
});

test('one request after another is answered on one connection', async () => {
  using at = await serving();
  at.answered.resolve();
  using agent = Object.assign(new Agent({ keepAlive: true, maxSockets: 1 }), {
    [Symbol.dispose]: () => agent.destroy(),
  });
  const ports = new Set<number | undefined>();
  for (let asked = 0; asked < 20; asked += 1) {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get({ port: at.port, agent }, resolve).on('error', reject);
    });
    ports.add(response.socket.localPort);
    expect(await text(response)).toBe('answer');
  }
  expect(ports.size).toBe(1);
});

test('a shared answer is not kept for a connection that has ended', async () => {
  const read = Promise.withResolvers<string>();
  const answer = sharedAnswer(() => read.promise, 'text/plain');
  const [gone, stays] = [1, 2].map(() => new ServerResponse(new IncomingMessage(new Socket())));
  if (gone === undefined || stays === undefined) throw new Error('not made');
  answer(gone);
  answer(stays);
  gone.emit('close');
  read.resolve('answer');
  while (!stays.headersSent) await turn();
  expect(gone.headersSent).toBe(false);
  expect(stays.statusCode).toBe(200);
});

test('a reading that fails is answered with 500, and the next one is begun', async () => {
  let readings = 0;
  const answer = sharedAnswer(async () => {
    readings += 1;
    if (readings === 1) throw new Error('no');
    return 'answer';
  }, 'text/plain');
  for (const statusCode of [500, 200]) {
    const response = new ServerResponse(new IncomingMessage(new Socket()));
    answer(response);
    while (!response.headersSent) await turn();
    expect(response.statusCode).toBe(statusCode);
  }
});
