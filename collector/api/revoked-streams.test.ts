import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata, Server, status } from '@grpc/grpc-js';
import { openAnonymousChannel } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { LiveIdentity } from '@kcorder/proto/bridge/live-identity.ts';
import { type CallContext, type Handlers, serve } from '@kcorder/proto/bridge/serve.ts';
import { farewellMs } from '@kcorder/proto/bridge/stream.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { EvidenceService } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { ResultsService } from '@kcorder/proto/gen/kcorder/v1/results_pb.ts';
import { SymbolsService } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { type Authority, makeAuthority } from '../../tools/certificates.ts';
import type { Person } from '../identity/person.ts';
import { until } from '../testing/files.ts';
import { Door } from './door/door.ts';
import { Gate, usualPace } from './gate.ts';
import { addHealth } from './health.ts';
import { addReflection } from './reflection.ts';
import { openTlsPort } from './tls-port.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-revoked-'));
const authority: Authority = makeAuthority(dir);
const leaf = authority.server();
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const alice: Person = { name: 'alice', uid: '', groups: [], extra: {} };
const minute = 60_000;

/** The port for people over TLS, with streams that give one message and then wait for ever, and somebody's rights, which can be taken away. */
async function rig() {
  const state = {
    nowMs: 0,
    recognized: 0,
    asked: 0,
    unanswered: 0,
    faults: [] as string[],
    fault: undefined as Fault | undefined,
    /** Thrown once each, before anything else. */
    once: [] as Fault[],
    refusal: '',
  };
  const reviewer = {
    authenticate: async () => {
      const next = state.once.shift();
      if (next !== undefined) throw next;
      if (state.fault === undefined) {
        state.recognized += 1;
        return alice;
      }
      state.unanswered += 1;
      throw state.fault;
    },
    refusal: async () => {
      state.asked += 1;
      return state.refusal === '' ? undefined : new Fault('permission_denied', state.refusal);
    },
    podsRefusal: async () => undefined,
  };
  // Often, so that the test need not wait; how long nobody may tell is counted by a clock of the test's own.
  const pace = { everyMs: 5, againMs: 5, untoldMs: 10 * minute, now: () => state.nowMs };
  const gate = new Gate(reviewer, { check: () => undefined }, pace);
  const door = new Door({
    meet: gate.meet.bind(gate),
    supervise: gate.superviseStandard.bind(gate),
    refused: (_, fault) => void state.faults.push(fault.code),
    connectionRefused: () => undefined,
  });
  const server = new Server({ interceptors: [door.interceptor] });
  const edge = {
    admit: gate.admit.bind(gate),
    supervise: gate.supervise.bind(gate),
    ended: (_: unknown, fault: Fault | undefined) => void state.faults.push(fault?.code ?? 'ended well'),
  };
  async function* endless() {
    yield {};
    await new Promise(() => undefined);
  }
  // As one that waits for its turn.
  const waiting = (_request: unknown, { signal }: CallContext) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const handlers = <T>(methods: readonly { localName: string; methodKind: string }[]): T =>
    Object.fromEntries(
      methods.map(({ localName, methodKind }) => [localName, methodKind === 'unary' ? waiting : endless]),
    ) as T;
  serve(server, OperatorService, handlers<Handlers<typeof OperatorService>>(OperatorService.methods), edge);
  serve(server, EvidenceService, handlers<Handlers<typeof EvidenceService>>(EvidenceService.methods), edge);
  serve(server, ResultsService, handlers<Handlers<typeof ResultsService>>(ResultsService.methods), edge);
  serve(server, SymbolsService, handlers<Handlers<typeof SymbolsService>>(SymbolsService.methods), edge);
  addHealth(server);
  addReflection(server);
  door.serve(server);
  const port = await openTlsPort('127.0.0.1:0', { door, identity: new LiveIdentity(leaf), ended: () => undefined });
  const client = openAnonymousChannel(`127.0.0.1:${port.port}`, authority.ca, { serverName: 'localhost' });
  const headers = { headers: () => ({ authorization: 'Bearer token' }) };
  const [operator, evidence, results, symbols] = [
    connect(OperatorService, client, headers),
    connect(EvidenceService, client, headers),
    connect(ResultsService, client, headers),
    connect(SymbolsService, client, headers),
  ];
  const streams = {
    WatchCapture: () => operator.watchCapture({ captureId: 'c-1' }),
    DownloadEvidence: () => operator.downloadEvidence({ captureId: 'c-1' }),
    VerifyEvidence: () => evidence.verifyEvidence({ captureId: 'c-1' }),
    CheckStore: () => evidence.checkStore({}),
    DownloadResults: () => results.downloadResults({ captureId: 'c-1' }),
    WatchAnalysis: () => results.watchAnalysis({ captureId: 'c-1', plugin: 'env', unmask: true }),
    ExportSymbols: () => symbols.exportSymbols({}),
  };
  return {
    state,
    operator,
    /** Opens a stream of a standard service, with a request in bytes, and waits for its first answer. */
    openStandard: async (path: string, request: Buffer) => {
      const asIs = (bytes: Buffer): Buffer => bytes;
      const metadata = new Metadata();
      metadata.set('authorization', 'Bearer token');
      const stream = client.makeBidiStreamRequest(path, asIs, asIs, metadata);
      const ended = new Promise<number>((resolve) => stream.on('error', ({ code }: { code: number }) => resolve(code)));
      const answered = new Promise((resolve) => stream.on('data', resolve));
      stream.write(request);
      // Watch is served when the request is whole; reflection ends with the requests.
      if (path.endsWith('/Watch')) stream.end();
      await answered;
      return { ended };
    },
    /** Opens a stream and waits for its first message. */
    open: async (name: keyof typeof streams) => {
      const stream: AsyncIterator<unknown> = streams[name]()[Symbol.asyncIterator]();
      await stream.next();
      return stream;
    },
    [Symbol.dispose]: () => {
      client.close();
      port.close();
      server.forceShutdown();
      door.close();
    },
  };
}

const asked = ['WatchCapture', 'DownloadEvidence', 'VerifyEvidence', 'CheckStore', 'ExportSymbols'] as const;
test.each([...asked, 'DownloadResults', 'WatchAnalysis'] as const)(
  '%s ends when the right to it is taken away, and not before',
  async (name) => {
    using all = await rig();
    const stream = await all.open(name);
    await until(() => all.state.asked >= 4);
    expect(all.state.faults).toEqual([]);
    all.state.refusal = 'alice may not any more';
    await expect(stream.next()).rejects.toMatchObject({ code: 'permission_denied', message: 'alice may not any more' });
    expect(all.state.faults).toEqual(['permission_denied']);
  },
);

test.each([
  { path: '/grpc.health.v1.Health/Watch', request: Buffer.alloc(0) },
  // For the list of services.
  { path: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', request: Buffer.from([0x3a, 1, 0x2a]) },
  { path: '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo', request: Buffer.from([0x3a, 1, 0x2a]) },
])('$path ends when its token is worth nothing any more, and not before', async ({ path, request }) => {
  using all = await rig();
  const { state } = all;
  const { ended } = await all.openStandard(path, request);
  await until(() => state.recognized >= 4);
  expect(state.faults).toEqual([]);
  state.fault = new Fault('unauthenticated', 'nobody vouches for it');
  expect(await ended).toBe(status.UNAUTHENTICATED);
  expect(state.faults).toEqual(['unauthenticated']);
});

test('a call that waits for its turn ends when the right to it is taken away', async () => {
  using all = await rig();
  const answer = all.operator.getAnalysis({ captureId: 'c-1' }).catch((error: unknown) => error);
  await until(() => all.state.asked >= 4);
  all.state.refusal = 'alice may not any more';
  expect(await answer).toMatchObject({ code: 'permission_denied', message: 'alice may not any more' });
});

test('a stream ends when its token is worth nothing any more', async () => {
  using all = await rig();
  const stream = await all.open('DownloadEvidence');
  all.state.fault = new Fault('unauthenticated', 'nobody vouches for it');
  await expect(stream.next()).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(all.state.unanswered).toBe(1);
});

test('a refusal that an error led to ends a stream only if it is given twice', async () => {
  using all = await rig();
  const { state } = all;
  const next = (await all.open('DownloadEvidence')).next().catch((error: unknown) => error);
  const unclear = new Fault('unauthenticated', 'nobody vouches for it', { cause: new Error('the webhook is away') });
  for (const one of [unclear, new Fault('permission_denied', 'alice may not', { cause: new Error('the same') })]) {
    state.once = [one];
    await until(() => state.once.length === 0);
    const { asked } = state;
    await until(() => state.asked >= asked + 2);
    expect(state.faults).toEqual([]);
  }
  state.fault = unclear;
  expect(await next).toMatchObject({ code: 'unauthenticated', message: 'nobody vouches for it' });
  expect(state.unanswered).toBe(2);
});

test('an API server that does not answer is no revocation; after ten minutes of it the stream ends', async () => {
  using all = await rig();
  const { state } = all;
  const next = (await all.open('DownloadEvidence')).next().catch((error: unknown) => error);
  const refusedMore = async () => {
    const { unanswered } = state;
    // The second of these questions was asked after this began.
    await until(() => state.unanswered >= unanswered + 2);
  };
  for (const _ of ['an outage', 'another one, for which there are all of ten minutes again']) {
    state.fault = new Fault('cluster_unavailable', 'the API server does not answer');
    await refusedMore();
    state.nowMs += 10 * minute - 1;
    await refusedMore();
    expect(state.faults).toEqual([]);
    const { asked } = state;
    state.fault = undefined;
    await until(() => state.asked >= asked + 2);
  }
  state.fault = new Fault('cluster_unavailable', 'the API server does not answer');
  await refusedMore();
  state.nowMs += 10 * minute;
  expect(await next).toMatchObject({ code: 'cluster_unavailable' });
});

test('a minute is enough to ask, and to end a stream whose answers nobody takes', () => {
  expect(usualPace.everyMs + farewellMs).toBeLessThan(minute - 15_000);
});
