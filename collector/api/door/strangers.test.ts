import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Connection } from './connection.ts';
import { Connections } from './connections.ts';
import { doorLimits } from './limits.ts';

let connections: Connections;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  connections = new Connections(() => undefined);
});
afterEach(() => {
  connections.destroyAll();
  vi.useRealTimers();
});

/** A connection that comes from this address and never sends a byte; undefined when it is not taken. */
function comes(address: string, port = 'api'): Connection | undefined {
  const raw = new Socket().on('error', () => undefined);
  Object.defineProperty(raw, 'remoteAddress', { value: address });
  return connections.arrive(raw, port);
}

const pass = (ms: number) => vi.advanceTimersByTime(ms);
const hostile = (index: number) => `10.1.${index >> 8}.${index & 255}`;

/** Has all places of a port taken by four addresses at this moment. */
function fill(port: string): void {
  for (let i = 0; i < doorLimits.strangers; i += 1) expect(comes(hostile(i % 4), port)).toBeDefined();
}

test.each([64, 400])('silent connections from %d addresses, as fast as they may, keep no newcomer out', (addresses) => {
  const waiting: { readonly connection: Connection; readonly readyMs: number }[] = [];
  let [came, known, strangers] = [0, 0, 0];
  for (let ms = 0; ms < 10_000; ms += 10) {
    // Ten per second of each address, half of them at each port.
    for (let i = (ms / 10) % 10; i < addresses; i += 10) comes(hostile(i), i % 20 < 10 ? 'api' : 'agents');
    if (ms % 200 === 0) {
      for (const port of ['api', 'agents']) {
        came += 1;
        const connection = comes(`10.2.0.${ms / 200}`, port);
        if (connection !== undefined) waiting.push({ connection, readyMs: ms + 90 });
      }
    }
    pass(10);
    strangers = Math.max(strangers, connections.strangers);
    while (waiting[0] !== undefined && (waiting[0].readyMs <= ms || ms === 9_990)) {
      const connection = waiting.shift()?.connection;
      if (connection === undefined || connection.isEnding) continue;
      connections.identify(connection, `node/n${known}`);
      known += 1;
    }
  }
  expect([known, came]).toEqual([100, 100]);
  expect(strangers).toBeLessThanOrEqual(2 * doorLimits.strangers);
});

test('strangers at one port leave the places of the other, and give way there after 100 ms without a byte', () => {
  fill('api');
  pass(99);
  expect(comes('10.2.0.1')).toBeUndefined();
  expect(comes('10.2.0.1', 'agents')).toBeDefined();
  pass(1);
  expect(comes('10.2.0.1')).toBeDefined();
  expect(connections.strangers).toBe(doorLimits.strangers + 1);
});

test('who comes from an address with few connections gives way to none from one with more', () => {
  const slow = comes('10.2.0.1');
  pass(200);
  for (let i = 1; i < doorLimits.strangers; i += 1) comes(hostile(i % 4));
  // Nobody else has to give way yet.
  expect(comes(hostile(0))).toBeUndefined();
  pass(100);
  // Now the others have, though they came later.
  for (let i = 0; i < 300; i += 1) expect(comes(hostile(4 + (i % 20)))).toBeDefined();
  expect(slow?.isEnding).toBe(false);
});

test('the end of the handshake gives 100 ms more, and a call gives a second', () => {
  const [silent, secured, calling] = ['10.2.0.1', '10.2.0.2', '10.2.0.3'].map((address) => comes(address));
  for (let i = 3; i < doorLimits.strangers; i += 1) {
    const connection = comes(hostile(i));
    // It is served and stays.
    connection?.calls.add({ answersLeft: 0, isServed: true, checkTime: () => undefined });
  }
  pass(60);
  for (const connection of [secured, calling]) connection?.secured(new TLSSocket(new Socket()));
  calling?.streamOpened();
  pass(60);
  expect(comes('10.2.0.4')).toBeDefined();
  expect([silent, secured, calling].map((one) => one?.isEnding)).toEqual([true, false, false]);
  pass(40);
  expect(comes('10.2.0.5')).toBeDefined();
  expect([secured, calling].map((one) => one?.isEnding)).toEqual([true, false]);
  pass(700);
  // Those that came meanwhile go before it.
  for (const address of ['10.2.0.6', '10.2.0.7']) expect(comes(address)).toBeDefined();
  expect([comes('10.2.0.8'), calling?.isEnding]).toEqual([undefined, false]);
  pass(140);
  expect(comes('10.2.0.9')).toBeDefined();
  expect(calling?.isEnding).toBe(true);
});
