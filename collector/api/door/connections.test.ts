import net, { type Socket } from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { until } from '../../testing/files.ts';
import { Parties, Rig } from '../../testing/rig.ts';
import type { Connection } from './connection.ts';
import { Connections } from './connections.ts';
import { doorLimits } from './limits.ts';

const parties = new Parties();
const { ca } = parties.authority;
const listener = net.createServer();
const sockets: Socket[] = [];
let port = 0;
let arrived: (raw: Socket) => void = () => undefined;
let refused: string[] = [];
let connections: Connections;

beforeAll(async () => {
  listener.on('connection', (raw) => arrived(raw.on('error', () => undefined)));
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  port = (listener.address() as net.AddressInfo).port;
});
beforeEach(() => {
  refused = [];
  connections = new Connections((_connection, reason) => refused.push(reason));
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  listener.close();
  parties[Symbol.dispose]();
});

/** Connects to a port and keeps silent. */
function silent(to: number): Socket {
  const socket = net.connect(to, '127.0.0.1').on('error', () => undefined);
  sockets.push(socket);
  return socket;
}

/** A new connection as the door sees it; undefined when it was not taken. */
async function arrival(at = 'api'): Promise<Connection | undefined> {
  const raw = await new Promise<Socket>((resolve) => {
    arrived = resolve;
    silent(port);
  });
  return connections.arrive(raw, at);
}

async function taken(at = 'api'): Promise<Connection> {
  const connection = await arrival(at);
  if (connection === undefined) throw new Error(`not taken: ${refused.join()}`);
  return connection;
}

const inMs = (ms: number): number => performance.now() + ms;

test('whoever does not say who they are is let go after ten seconds, in the handshake or after it', async () => {
  await taken();
  connections.sweep(inMs(doorLimits.strangerMs - 1_000));
  expect(connections.strangers).toBe(1);
  connections.sweep(inMs(doorLimits.strangerMs + 1));
  await until(() => connections.count === 0);
  expect(refused).toEqual(['silent']);
});

test('who is known is let go after a minute without a call, and not before', async () => {
  const [idle, busy] = [await taken(), await taken()];
  for (const connection of [idle, busy]) connections.identify(connection, 'user/alice');
  busy.streamOpened();
  connections.sweep(inMs(doorLimits.idleMs - 1_000));
  expect([connections.count, connections.strangers]).toEqual([2, 0]);
  connections.sweep(inMs(doorLimits.idleMs + 1));
  await until(() => connections.count === 1);
  expect([busy.isEnding, refused]).toEqual([false, ['idle']]);
});

test('one identity has so many connections with calls, and is told when to come again; others have their own', async () => {
  for (let i = 0; i < doorLimits.connectionsOfIdentity; i += 1) {
    const connection = await taken();
    connections.identify(connection, 'user/alice');
    connection.streamOpened();
  }
  const more = await taken();
  expect(() => connections.identify(more, 'user/alice')).toThrow(
    expect.objectContaining({ code: 'resource_exhausted', retryAfterMs: 5_000 }),
  );
  connections.identify(more, 'user/bob');
  expect(connections.strangers).toBe(0);
});

const call = { answersLeft: 0, isServed: false, checkTime: () => undefined };

test('one identity has so many calls, and so many bytes of answers that it does not take, on whose connections they may be', () => {
  const isTooMuch = expect.objectContaining({ code: 'resource_exhausted', retryAfterMs: 1_000 });
  const calls = Array.from({ length: doorLimits.callsOfIdentity }, () => ({ ...call }));
  for (const one of calls) connections.called('user/alice', one);
  expect(() => connections.called('user/alice', call)).toThrow(isTooMuch);
  connections.called('user/bob', { ...call });
  for (const one of calls) connections.left('user/alice', one);
  connections.called('user/alice', { ...call, answersLeft: doorLimits.answersOfIdentity + 1 });
  expect(() => connections.called('user/alice', call)).toThrow(isTooMuch);
});

test('the connection that gives way to one more of an identity is closed at once, whatever its peer does with its half', async () => {
  const first = new Promise<Socket>((resolve) => {
    arrived = resolve;
    silent(port);
  });
  const raw = await first;
  const oldest = connections.arrive(raw, 'api');
  if (oldest === undefined) throw new Error('not taken');
  connections.identify(oldest, 'user/alice');
  for (let i = 0; i < doorLimits.connectionsOfIdentity; i += 1) connections.identify(await taken(), 'user/alice');
  expect([raw.destroyed, connections.count, refused]).toEqual([true, doorLimits.connectionsOfIdentity, ['too_many']]);
});

test('a stranger whose calls no handler has seen makes room, streams or not; one that is served does not', async () => {
  const [served, held] = [await taken(), await taken()];
  for (const [connection, isServed] of [
    [served, true],
    [held, false],
  ] as const) {
    connection.streamOpened();
    connection.calls.add({ ...call, isServed });
    // Long enough ago.
    Object.defineProperty(connection, 'sinceMs', { value: performance.now() - 5_000 });
  }
  for (let i = 0; i < doorLimits.strangersOfAddress - 1; i += 1) await taken();
  expect([served.isEnding, held.isEnding, refused]).toEqual([false, true, ['too_many']]);
});

test('whoever leaves answers lying for a minute is cut off', async () => {
  const connection = await taken();
  connections.identify(connection, 'user/alice');
  connection.streamOpened();
  connection.calls.add({ ...call, answersLeft: doorLimits.answersLeft + 1 });
  connections.sweep(inMs(0));
  connections.sweep(inMs(doorLimits.answersMs - 1_000));
  expect(connections.count).toBe(1);
  connections.sweep(inMs(doorLimits.answersMs + 1_000));
  await until(() => connections.count === 0);
  expect(refused).toEqual(['answers_not_taken']);
});

test('who comes too fast to one port is not taken there; it does not count for who is known, nor at the other port', async () => {
  for (let i = 0; i < 3 * doorLimits.arrivals.burst; i += 1) connections.identify(await taken(), `node/n${i}`);
  for (let i = 0; refused.length === 0 && i < 1_000; i += 1) await arrival();
  expect(refused[0]).toMatch(/too_fast|too_many/);
  expect(await arrival('agents')).toBeDefined();
});

test.each([
  { sentence: 'half-open', open: (to: number) => silent(to) },
  {
    sentence: 'idle TLS',
    open: (to: number) => {
      const socket = tls.connect({ port: to, host: '127.0.0.1', ca, servername: 'localhost', ALPNProtocols: ['h2'] });
      sockets.push(socket.on('error', () => undefined));
      return socket;
    },
  },
])('of 400 $sentence connections few are kept, and others are served meanwhile', async ({ open }) => {
  await using rig = await Rig.start(parties);
  const operator = rig.operator();
  const flood = Array.from({ length: 400 }, () => open(rig.apiPort));
  const ended = new Set<Socket>();
  // Read, or those that were served a little before they gave way would not see their end.
  for (const socket of flood) socket.resume().on('close', () => ended.add(socket));
  await until(async () => {
    await operator.getVersion({});
    return flood.length - ended.size <= doorLimits.strangersOfAddress;
  });
  // Somebody new who shows who they are.
  expect(await rig.operator().getVersion({})).toBeDefined();
  for (const socket of flood) socket.destroy();
});
