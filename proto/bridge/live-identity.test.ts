import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Client, experimental, Server } from '@grpc/grpc-js';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { type Authority, type Leaf, makeAuthority } from '../../tools/certificates.ts';
import { EnrolmentService } from '../gen/kcorder/v1/enrolment_pb.ts';
import { IngestService } from '../gen/kcorder/v1/ingest_pb.ts';
import { openAnonymousChannel, openChannel } from './channel.ts';
import { connect } from './connect.ts';
import { LiveIdentity } from './live-identity.ts';
import { serve } from './serve.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-live-'));
let authority: Authority;
let serverLeaf: Leaf;
const agents: Leaf[] = [];
beforeAll(() => {
  authority = makeAuthority(join(dir, 'tls'));
  serverLeaf = authority.server();
  for (const uid of ['uid-1', 'uid-2']) agents.push(authority.agent('lab-1', uid));
  return () => rmSync(dir, { recursive: true });
});
const agent = (index: number): Leaf => agents[index] as Leaf;

/** Node warns of each thing once a process, so from the first test on. */
const warnings: Error[] = [];
process.on('warning', (warning) => warnings.push(warning));

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A server that answers with what it knows of its caller; port 0 is any. */
async function listen(identity: LiveIdentity, mutual: boolean, port = 0, host = '127.0.0.1') {
  const server = new Server();
  const edge = { admit: () => undefined, ended: () => undefined };
  const enrolment = {
    enrol: async (_: unknown, { peerNames }: { peerNames: string }) => ({ certificate: peerNames }),
    createJoinToken: async (_: unknown, { metadata }: { metadata: { get(name: string): unknown[] } }) => ({
      token: String(metadata.get('authorization')[0]),
    }),
  };
  serve(server, EnrolmentService, enrolment, edge);
  const ingest = {
    upload: async function* (requests: AsyncIterable<unknown>) {
      let durableOffset = 0n;
      for await (const _ of requests) {
        durableOffset += 1n;
        yield { message: { case: 'acknowledgement' as const, value: { durableOffset } } };
      }
    },
    sendKernelTypes: async function* () {},
  };
  serve(server, IngestService, ingest, edge);
  const provider = identity.asProvider();
  const credentials = experimental.createCertificateProviderServerCredentials(
    provider,
    mutual ? provider : null,
    mutual,
  );
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentials, (error, at) => (error ? reject(error) : resolve(at)));
  });
  closing.push(() => server.forceShutdown());
  return { server, port: bound, address: `${host}:${bound}` };
}

function opened(client: Client): Client {
  closing.push(() => client.close());
  return client;
}

/** What the server sees of the caller; waits for a connection, as a channel that has lost one does. */
async function seen(client: Client): Promise<string> {
  await new Promise<void>((resolve) => client.waitForReady(Date.now() + 1_500, () => resolve()));
  return (await connect(EnrolmentService, client).enrol({})).certificate;
}

test('a stream lives through a change, and the next connection shows the new certificate', async () => {
  const serving = new LiveIdentity(serverLeaf);
  const live = new LiveIdentity(agent(0));
  const { server, port, address } = await listen(serving, true);
  const client = opened(openChannel(address, live));
  expect(await seen(client)).toMatch(/uid-1/);
  const { send, end, responses } = connect(IngestService, client).upload();
  const answers = responses[Symbol.asyncIterator]();
  const exchange = async (count: bigint): Promise<void> => {
    await send({ message: { case: 'chunk', value: { data: Buffer.alloc(100_000) } } });
    expect((await answers.next()).value).toMatchObject({ message: { value: { durableOffset: count } } });
  };
  await exchange(1n);
  live.set(agent(1));
  serving.set(authority.server());
  await exchange(2n);
  expect(await seen(client)).toMatch(/uid-1/);
  end();
  expect((await answers.next()).done).toBe(true);

  server.forceShutdown();
  await listen(serving, true, port);
  expect(await seen(client)).toMatch(/uid-2/);
});

test('a server takes the newest pair and authorities for connections from then on', async () => {
  const serving = new LiveIdentity(serverLeaf);
  const { address } = await listen(serving, true);
  const other = makeAuthority(join(dir, 'other'));
  const stranger = { ...other.agent('lab-1', 'uid-3'), ca: authority.ca };
  await expect(seen(opened(openChannel(address, new LiveIdentity(stranger))))).rejects.toMatchObject({
    code: 'unavailable',
  });
  serving.set({ ...serverLeaf, ca: Buffer.concat([authority.ca, other.ca]) });
  expect(await seen(opened(openChannel(address, new LiveIdentity(stranger))))).toMatch(/uid-3/);
});

test('a channel whose identity comes later connects when it has come', async () => {
  const { address } = await listen(new LiveIdentity(serverLeaf), true);
  const live = new LiveIdentity();
  const answer = seen(opened(openChannel(address, live)));
  setTimeout(() => live.set(agent(0)), 50);
  expect(await answer).toMatch(/uid-1/);
});

test('the name that the server must have can be set', async () => {
  const { address } = await listen(new LiveIdentity(serverLeaf), true);
  const live = new LiveIdentity(agent(0));
  const named = (serverName: string) => seen(opened(openChannel(address, live, { serverName })));
  expect(await named('kcorder-collector')).toMatch(/uid-1/);
  await expect(named('elsewhere')).rejects.toThrow(/elsewhere|altnames/i);
});

test('a collector at an address must have it in its certificate, and no name is asked for that is an address', async () => {
  const { address } = await listen(new LiveIdentity(serverLeaf), false);
  const { address: elsewhere } = await listen(new LiveIdentity(serverLeaf), false, 0, '127.0.0.2');
  const ways = [
    (to: string) => openAnonymousChannel(to, authority.ca),
    (to: string) => openChannel(to, agent(0)),
    (to: string) => openChannel(to, new LiveIdentity(agent(0))),
  ];
  for (const way of ways) {
    await seen(opened(way(address)));
    await expect(seen(opened(way(elsewhere)))).rejects.toThrow(/127\.0\.0\.2 is not in the cert/);
  }
  await nextTurn();
  expect(warnings.map(({ message }) => message)).toEqual([]);
});

test.each([
  ['the key of another', () => ({ ...agent(1), key: agent(0).key })],
  ['no PEM', () => ({ ...agent(1), certificate: Buffer.from('nothing') })],
])('with %s the last good identity stays', async (_, bad) => {
  const live = new LiveIdentity(agent(0));
  expect(() => live.set(bad())).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  const heard: unknown[] = [];
  live.asProvider().addIdentityCertificateListener((update) => heard.push(update?.certificate));
  await nextTurn();
  expect(heard).toEqual([agent(0).certificate]);
  expect(live.current).toBe(agent(0));
});

test('without a certificate of its own: the server is still checked, and sees nobody', async () => {
  const { address } = await listen(new LiveIdentity(serverLeaf), false);
  expect(await seen(opened(openAnonymousChannel(address, authority.ca)))).toBe('');
  const strange = makeAuthority(join(dir, 'strange')).ca;
  await expect(seen(opened(openAnonymousChannel(address, strange)))).rejects.toThrow(/certificate/);
  await expect(seen(opened(openAnonymousChannel(address, authority.ca, { serverName: 'elsewhere' })))).rejects.toThrow(
    /elsewhere|altnames/i,
  );
});

test('headers are asked for at each call, and a value that no header can have is not quoted', async () => {
  const { address } = await listen(new LiveIdentity(serverLeaf), false);
  const client = opened(openAnonymousChannel(address, authority.ca));
  let token = 'first';
  const { createJoinToken } = connect(EnrolmentService, client, {
    headers: () => ({ authorization: `Bearer ${token}` }),
  });
  expect((await createJoinToken({})).token).toBe('Bearer first');
  token = 'second';
  expect((await createJoinToken({})).token).toBe('Bearer second');
  token = 'secret\n';
  const refused = createJoinToken({});
  await expect(refused).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(refused).rejects.not.toThrow(/secret/);
});
