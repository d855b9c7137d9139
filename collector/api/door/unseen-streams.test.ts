import http2, { type ServerHttp2Session } from 'node:http2';
import net from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../testing/files.ts';
import { headersFrame, preface } from '../../testing/http2-frames.ts';
import { Connection } from './connection.ts';

/** A call with so many headers. */
function call(stream: number, headers = 0): Buffer {
  const fields: [string, string][] = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'a'],
  ];
  for (let i = 0; i < headers; i += 1) fields.push([`x${i}`, 'y']);
  return headersFrame(stream, fields);
}

const server = http2.createServer({ maxHeaderListPairs: 64 });
let socket: net.Socket;
let session: ServerHttp2Session | undefined;
let opened = 0;
let connection: Connection;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    opened += 1;
    connection.streamOpened();
  });
  socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1').on('error', () => undefined);
  connection = new Connection(socket, 'api');
  server.on('session', (begun) => {
    session = begun;
    connection.began(begun);
  });
  socket.resume().write(preface);
  await until(() => session !== undefined);
});
afterAll(() => {
  socket.destroy();
  server.close();
});

const begunStream = () => session?.state.lastProcStreamID;

test('headers that have arrived by half are no failure, and those that Node resets are, all but one', async () => {
  const first = call(1, 40);
  socket.write(first.subarray(0, first.length - 20));
  await until(() => begunStream() === 1);
  expect([connection.takeUnseen(), opened]).toEqual([0, 0]);
  socket.write(first.subarray(first.length - 20));
  await until(() => opened === 1);
  expect(connection.takeUnseen()).toBe(0);
  let unseen = 0;
  for (let stream = 3; stream < 23; stream += 2) {
    socket.write(call(stream, 70));
    await until(() => begunStream() === stream);
    unseen += connection.takeUnseen();
  }
  expect([unseen, opened]).toEqual([9, 1]);
  socket.write(call(23));
  await until(() => opened === 2);
  expect(connection.takeUnseen()).toBe(0);
  socket.write(call(25));
  await until(() => opened === 3);
  expect(connection.takeUnseen()).toBe(0);
});
