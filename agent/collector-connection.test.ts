import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { openChannel } from '@kcorder/proto/bridge/channel.ts';
import { afterAll, expect, test } from 'vitest';
import { makeAuthority } from '../tools/certificates.ts';
import { CollectorConnection } from './collector-connection.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-line-'));
const authority = makeAuthority(dir);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('an attempt to connect to where nobody answers any more is given up, and the next one finds who is there', async () => {
  // Takes the connection and says nothing, as an address does whose owner has moved; its sockets stay open.
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket));
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const agent = authority.agent('n1', 'u1');
  let given = 0;
  const line = new CollectorConnection(
    () => openChannel(`127.0.0.1:${port}`, agent, { serverName: 'localhost' }),
    () => {
      given += 1;
    },
  );
  const first = line.channel();
  const waiting = line.reach(new AbortController().signal);
  await once(silent, 'connection');
  silent.close();
  const { ca, certificate, key } = authority.server();
  const server = new Server();
  const pair = [{ cert_chain: certificate, private_key: key }];
  await new Promise((resolve) =>
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createSsl(ca, pair, true), resolve),
  );
  await waiting;
  expect(given).toBe(1);
  expect(line.channel()).not.toBe(first);
  await new Promise<void>((resolve, reject) =>
    line.channel().waitForReady(Date.now() + 5_000, (error) => (error ? reject(error) : resolve())),
  );
  line.close();
  server.forceShutdown();
  for (const socket of sockets) socket.destroy();
});

test('a renewed line: calls that run stay where they are, and whoever asked before hears that there is another connection', async () => {
  const { ca, certificate, key } = authority.server();
  const server = new Server();
  const sessions = new Set<string>();
  const streams: { end(): void }[] = [];
  const bytes = (value: Buffer): Buffer => value;
  const stream = { requestStream: true, responseStream: true, path: '/t.T/S', originalName: 's' } as const;
  const coding = {
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
  server.addService(
    { s: { ...stream, ...coding } },
    {
      s: (call: ServerDuplexStream<Buffer, Buffer>) => {
        sessions.add(call.getPeer());
        streams.push(call);
        call.on('data', (data: Buffer) => call.write(data));
      },
    },
  );
  const pair = [{ cert_chain: certificate, private_key: key }];
  const port = await new Promise<number>((resolve) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(ca, pair, true), (_, bound) => resolve(bound)),
  );
  const agent = authority.agent('n2', 'u2');
  const line = new CollectorConnection(
    () => openChannel(`127.0.0.1:${port}`, agent, { serverName: 'localhost' }),
    () => undefined,
  );
  const { signal } = new AbortController();
  expect(await line.reach(signal)).toBe(true);
  // The end of the server, which ends this test, is an error of theirs.
  const open = () =>
    line
      .channel()
      .makeBidiStreamRequest(stream.path, bytes, bytes)
      .on('error', () => undefined);
  const echo = async (call: ReturnType<typeof open>, text: string): Promise<string> => {
    call.write(Buffer.from(text));
    const [answer] = (await once(call, 'data')) as [Buffer];
    return answer.toString();
  };
  const first = open();
  expect(await echo(first, 'one')).toBe('one');
  const left = line.left(signal);
  line.renew();
  await left;
  expect(await line.reach(signal)).toBe(true);
  const second = open();
  expect([await echo(first, 'two'), await echo(second, 'three')]).toEqual(['two', 'three']);
  expect(sessions.size).toBe(2);
  const ending = new AbortController();
  const never = line.left(ending.signal);
  ending.abort(new Error('over'));
  await expect(never).rejects.toThrow('over');
  for (const call of streams) call.end();
  line.close();
  server.forceShutdown();
});
