import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { type Client, connectivityState } from '@grpc/grpc-js';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { Parties, Rig } from '../testing/rig.ts';

// The checks of the handshake are repeated for as long as a connection lives: each test outlives one of them.

const dir = mkdtempSync(join(tmpdir(), 'kcorder-standing-'));
let parties: Parties;
let others: Parties;
beforeAll(() => {
  [parties, others] = [new Parties(), new Parties()];
});
afterAll(() => {
  parties[Symbol.dispose]();
  others[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
});

const spec = { nodeName: 'n1', reason: 'a test', idempotencyKey: 'key' };
const twoDaysMs = 2 * 24 * 3_600_000;
const refusedAs = (error: unknown): string => (error instanceof Fault ? error.code : String(error));
/** Refused by the gate, or the connection was ended already. */
const refusal = expect.stringMatching(/^(unauthenticated|unavailable|canceled)$/);

/** The directory that a collector serves with, as a copy that can be changed, and a collector. */
async function serving(): Promise<{ tlsDir: string; rig: Rig }> {
  const tlsDir = mkdtempSync(join(dir, 'tls-'));
  cpSync(parties.server.dir, tlsDir, { recursive: true });
  return { tlsDir, rig: await Rig.start(parties, { tlsDir }) };
}

/** Serves with a certificate of the other authority, and trusts these. */
async function swap(tlsDir: string, rig: Rig, authorities: readonly Buffer[]): Promise<void> {
  for (const name of ['tls.crt', 'tls.key']) cpSync(join(others.server.dir, name), join(tlsDir, name));
  writeFileSync(join(tlsDir, 'ca.crt'), Buffer.concat([...authorities]));
  await rig.lookAtCertificates();
}

const ended = (client: Client): Promise<boolean> =>
  until(() => client.getChannel().getConnectivityState(false) !== connectivityState.READY);

test('an operator whose certificate expires meanwhile orders no capture and lists no node, and is cut off', async () => {
  await using rig = await Rig.start(parties);
  const client = rig.channel(parties.operator);
  const operator = connect(OperatorService, client);
  const agent = rig.agent();
  await agent.attach();
  await operator.listNodes({});
  rig.aheadMs = twoDaysMs;
  expect(await operator.createCapture(spec).catch(refusedAs)).toEqual(refusal);
  await ended(client);
  expect(await operator.listNodes({}).catch(refusedAs)).toEqual(refusal);
  // So is the agent, whose certificate is over as well.
  await until(() => agent.detached);
  expect(agent.orders).toEqual([]);
  rig.aheadMs = 0;
  expect((await rig.operator().listCaptures({})).captures).toEqual([]);
  expect(rig.logged).toContainEqual(expect.objectContaining({ why: expect.stringContaining('and not now') }));
});

test('a stream of an operator ends with the certificate', async () => {
  await using rig = await Rig.start(parties);
  const { operator, captureId } = await rig.ordered();
  const watched = operator.watchCapture({ captureId })[Symbol.asyncIterator]();
  await watched.next();
  rig.aheadMs = twoDaysMs;
  expect(await watched.next().catch(refusedAs)).toEqual(refusal);
});

test('once its authority is trusted no more, a connection that stands is ended, and orders nothing', async () => {
  const { tlsDir, rig } = await serving();
  await using _ = rig;
  const client = rig.channel(parties.operator);
  const operator = connect(OperatorService, client);
  const agent = rig.agent();
  await agent.attach();
  await operator.listNodes({});
  await swap(tlsDir, rig, [others.authority.ca]);
  expect(await operator.createCapture(spec).catch(refusedAs)).toEqual(refusal);
  await ended(client);
  await until(() => agent.detached);
  expect(agent.orders).toEqual([]);
  const welcome = rig.operator({ ...others.operator, ca: others.authority.ca });
  expect((await welcome.listCaptures({})).captures).toEqual([]);
});

test('a rotation with overlap drops nobody; only when the old authority is left out its connections end', async () => {
  const { tlsDir, rig } = await serving();
  await using _ = rig;
  const [operator, agent] = [rig.operator(), rig.agent()];
  await agent.attach();
  await operator.getVersion({});
  await swap(tlsDir, rig, [parties.authority.ca, others.authority.ca]);
  await rig.operator({ ...others.operator, ca: others.authority.ca }).createCapture(spec);
  expect(await agent.ordered()).toMatch(/^c/);
  await operator.getVersion({});
  expect([agent.detached, rig.logged.filter(({ why }) => why !== undefined)]).toEqual([undefined, []]);
  await swap(tlsDir, rig, [others.authority.ca]);
  await until(() => agent.detached);
  expect(await operator.getVersion({}).catch(refusedAs)).toEqual(refusal);
});

/** A TLS connection; tells whether a session was resumed and what session it was offered, or why there was none. */
function handshake(port: number, session?: Buffer): Promise<{ resumed: boolean; session: Buffer | undefined } | Error> {
  const { ca, certificate, key } = parties.operator;
  return new Promise((resolve) => {
    let offered: Buffer | undefined;
    const options = { port, host: '127.0.0.1', servername: 'localhost', ALPNProtocols: ['h2'] };
    const socket = tls.connect({ ...options, ca, cert: certificate, key, ...(session && { session }) });
    socket.on('session', (one) => {
      offered = one;
    });
    socket.once('error', resolve);
    socket.once('close', () => resolve(new Error('closed')));
    // The server's first bytes come after whatever session it offers.
    socket.once('data', () => {
      resolve({ resumed: socket.isSessionReused(), session: offered });
      socket.destroy();
    });
  });
}

test('no session is resumed: each connection shows its certificate, and one that has expired is not let in', async () => {
  await using rig = await Rig.start(parties);
  const first = await handshake(rig.port);
  const session = first instanceof Error ? undefined : first.session;
  expect(session).toBeInstanceOf(Buffer);
  expect(await handshake(rig.port, session)).toMatchObject({ resumed: false });
  await rig.lookAtCertificates();
  rig.aheadMs = twoDaysMs;
  expect(await handshake(rig.port, session)).toBeInstanceOf(Error);
});
