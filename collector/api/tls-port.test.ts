import net, { type AddressInfo } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import { LiveIdentity } from '@kcorder/proto/bridge/live-identity.ts';
import { afterAll, expect, test, vi } from 'vitest';
import { until } from '../testing/files.ts';
import { Parties } from '../testing/rig.ts';
import type { Connection } from './door/connection.ts';
import { Door } from './door/door.ts';
import { openTlsPort } from './tls-port.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

/** A connection from 127.0.0.1:localPort to one of our addresses. */
async function connected(host: string, port: number, localPort: number): Promise<net.Socket> {
  const socket = net.connect({ host, port, localAddress: '127.0.0.1', localPort });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket.on('error', () => undefined);
}

async function secured(socket: net.Socket): Promise<TLSSocket> {
  const { ca } = parties.authority;
  const secure = tls.connect({ socket, ca, servername: 'localhost', ALPNProtocols: ['h2'] });
  await new Promise<void>((resolve, reject) => secure.once('secureConnect', resolve).once('error', reject));
  return secure.on('error', () => undefined);
}

test('two connections from one address and port, to two of our addresses, are not mixed up', async () => {
  const door = new Door({
    meet: async () => ({}),
    supervise: () => () => undefined,
    refused: () => undefined,
    connectionRefused: () => undefined,
  });
  const entered: Connection[] = [];
  vi.spyOn(door, 'enter').mockImplementation((_socket, connection) => void entered.push(connection));
  const identity = new LiveIdentity();
  identity.set(parties.server);
  const { port, close } = await openTlsPort('0.0.0.0:0', { door, identity, ended: () => undefined });
  try {
    const first = await connected('127.0.0.1', port, 0);
    const second = await connected('127.0.0.2', port, (first.address() as AddressInfo).port);
    expect(second.address()).toEqual(first.address());
    // The later one is the first to finish its handshake.
    await secured(second);
    await until(() => entered.length === 1);
    await secured(first);
    await until(() => entered.length === 2);
    expect(new Set(entered).size).toBe(2);
    entered[0]?.destroy();
    await until(() => second.destroyed);
    expect(first.destroyed).toBe(false);
    entered[1]?.destroy();
    await until(() => first.destroyed);
  } finally {
    close();
    door.close();
  }
});
