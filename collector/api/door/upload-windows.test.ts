import http2, { type ServerHttp2Stream } from 'node:http2';
import { receiveWindowBytes, type TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { afterAll, expect, test } from 'vitest';
import { until } from '../../testing/files.ts';
import { Parties, Rig } from '../../testing/rig.ts';
import { ByteBudget } from './byte-budget.ts';
import { doorLimits } from './limits.ts';
import { callsWhileWide, UploadWindows } from './upload-windows.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

function session(rig: Rig, { ca, certificate, key }: TlsIdentity): http2.ClientHttp2Session {
  const opened = http2.connect(`https://127.0.0.1:${rig.port}`, {
    ...{ ca, cert: certificate, key, servername: 'localhost' },
  });
  return opened.on('error', () => undefined);
}

const call = (one: http2.ClientHttp2Session, path: string): http2.ClientHttp2Stream =>
  one
    .request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' })
    .on('error', () => undefined);

/** Asks reflection for the services. */
const listServices = Buffer.from([0, 0, 0, 0, 3, 0x3a, 1, 0x2a]);

test('a session takes 8 MiB per round trip while its node uploads, and not before nor after', async () => {
  await using rig = await Rig.start(parties);
  const node = session(rig, parties.node('n1'));
  await new Promise((resolve) => node.once('remoteSettings', resolve));
  expect(node.remoteSettings.initialWindowSize).toBe(doorLimits.window);
  expect(node.state.remoteWindowSize).toBeLessThan(1 << 20);
  const upload = call(node, '/kcorder.v1.IngestService/Upload');
  await until(() => node.remoteSettings.initialWindowSize === receiveWindowBytes);
  await until(() => Number(node.state.remoteWindowSize) > receiveWindowBytes - (64 << 10));
  expect(node.remoteSettings.maxConcurrentStreams).toBe(callsWhileWide);
  upload.close();
  await until(() => node.remoteSettings.initialWindowSize === doorLimits.window);
  expect(node.remoteSettings.maxConcurrentStreams).toBe(doorLimits.streamsOfConnection);
  node.destroy();
});

test('a session with many calls keeps its window when it begins to upload: each of them could fill a wide one', async () => {
  await using rig = await Rig.start(parties);
  const node = session(rig, parties.node('n1'));
  const settings: unknown[] = [];
  node.on('remoteSettings', ({ initialWindowSize }) => settings.push(initialWindowSize));
  for (let i = 0; i < callsWhileWide; i += 1) {
    const answered = call(node, '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo');
    await new Promise((resolve) => answered.on('response', resolve).write(listServices));
  }
  const upload = call(node, '/kcorder.v1.IngestService/Upload');
  upload.end(Buffer.alloc(5));
  await new Promise((resolve) => upload.on('close', resolve).resume());
  expect(new Set(settings)).toEqual(new Set([doorLimits.window]));
  node.destroy();
});

test.each([
  { sentence: 'an operator who calls for an upload', of: () => parties.operator, path: 'IngestService/Upload' },
  { sentence: 'a node that does something else', of: () => parties.node('n1'), path: 'AgentService/Attach' },
])('$sentence has the window that everybody has', async ({ of, path }) => {
  await using rig = await Rig.start(parties);
  const one = session(rig, of());
  const settings: unknown[] = [];
  one.on('remoteSettings', ({ initialWindowSize }) => settings.push(initialWindowSize));
  const asked = call(one, `/kcorder.v1.${path}`);
  asked.end(Buffer.alloc(5));
  await new Promise((resolve) => asked.on('close', resolve).resume());
  expect(new Set(settings)).toEqual(new Set([doorLimits.window]));
  one.destroy();
});

test('a session that cannot be set is ended, and what it had of the budget is given back', () => {
  const budget = new ByteBudget(doorLimits.bodies, doorLimits.bodiesOfOne);
  let [isDestroyed, close] = [false, (): void => undefined];
  const stubborn = {
    destroyed: false,
    setLocalWindowSize: () => undefined,
    settings: () => {
      throw new Error('too many settings are not acknowledged');
    },
    destroy: () => {
      isDestroyed = true;
    },
  };
  const stream = {
    session: stubborn,
    destroyed: false,
    once: (_event: string, listener: () => void) => {
      close = listener;
    },
  };
  new UploadWindows(budget).widen(stream as unknown as ServerHttp2Stream, 'node/n1', 1);
  expect([isDestroyed, budget.used]).toEqual([true, receiveWindowBytes]);
  close();
  expect(budget.used).toBe(0);
});

test('one node has a wide window on two connections, however many it has: the others have theirs', () => {
  const budget = new ByteBudget(doorLimits.bodies, doorLimits.bodiesOfOne);
  const windows = new UploadWindows(budget);
  const widen = (identity: string): void => {
    const session = { destroyed: false, setLocalWindowSize: () => undefined, settings: () => undefined };
    windows.widen({ session, destroyed: false, once: () => undefined } as unknown as ServerHttp2Stream, identity, 1);
  };
  for (let i = 0; i < 30; i += 1) widen('node/n1');
  expect(budget.used).toBe(2 * receiveWindowBytes);
  widen('node/n2');
  expect(budget.used).toBeGreaterThan(2 * receiveWindowBytes + (4 << 20));
});

test('the more uploads there are the narrower is each, and half of the budget stays for calls', () => {
  const budget = new ByteBudget(doorLimits.bodies, doorLimits.bodiesOfOne);
  const windows = Array.from({ length: 100 }, () => budget.takeWindow());
  expect(windows[0]).toBe(receiveWindowBytes);
  expect(windows.toSorted((a, b) => b - a)).toEqual(windows);
  expect(windows.at(-1)).toBe(0);
  expect(budget.used).toBeLessThanOrEqual(doorLimits.bodies / 2);
  for (let i = 0; i < 6; i += 1) expect(budget.take({ whose: `node/n${i}` }, doorLimits.bodiesOfOne)).toBe(true);
  expect(budget.take({ whose: 'node/n0' }, 1)).toBe(false);
  for (const bytes of windows) budget.giveWindow(bytes);
  for (let i = 0; i < 6; i += 1) budget.give({ whose: `node/n${i}` }, doorLimits.bodiesOfOne);
  expect(budget.used).toBe(0);
});
