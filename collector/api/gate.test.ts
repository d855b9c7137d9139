import { create } from '@bufbuild/protobuf';
import { Metadata } from '@grpc/grpc-js';
import type { CallContext } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { AgentService } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import {
  CreateCaptureRequestSchema,
  GetAnalysisRequestSchema,
  OperatorService,
} from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import {
  ListRowsRequestSchema,
  ResultsService,
  WatchAnalysisRequestSchema,
} from '@kcorder/proto/gen/kcorder/v1/results_pb.ts';
import { ScheduleService } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { afterEach, expect, test, vi } from 'vitest';
import type { Deed, Person, Reviewer } from '../identity/person.ts';
import { callerOf, Gate } from './gate.ts';

// What the API server itself answers is tested on a real one, in test/e2e.

const alice: Person = { name: 'alice@example.com', uid: '', groups: [], extra: {} };
const { method } = OperatorService;
afterEach(() => void vi.useRealTimers());
const peers = { check: () => undefined };

function reviewer(refusal?: string): Reviewer & { deeds: Deed[] } {
  const deeds: Deed[] = [];
  return {
    deeds,
    authenticate: async (token) => {
      if (token === 'good') return alice;
      throw new Fault('unauthenticated', 'the API server does not vouch for this token');
    },
    refusal: async (_person, deed) => {
      deeds.push(deed);
      return refusal === undefined ? undefined : new Fault('permission_denied', refusal);
    },
    podsRefusal: async (_person, namespace) =>
      namespace === 'shop'
        ? undefined
        : new Fault('permission_denied', `alice@example.com may not list pods in namespace ${namespace}`),
  };
}

function context(changes: Partial<CallContext> & { authorization?: string | string[] } = {}): CallContext {
  const { authorization, ...rest } = changes;
  const metadata = new Metadata();
  for (const value of [authorization ?? []].flat()) metadata.add('authorization', value);
  return {
    method: method.getCapture,
    signal: new AbortController().signal,
    metadata,
    peerNames: '',
    peer: '10.0.0.1:1',
    ...rest,
  };
}

test('somebody with a right is let in, and is who the API server says', async () => {
  const reviews = reviewer();
  const call = context({ authorization: 'Bearer good' });
  await new Gate(reviews, peers).admit(call, undefined);
  expect(callerOf(call)).toEqual({ kind: 'user', name: 'alice@example.com' });
  expect(reviews.deeds).toEqual([{ resource: 'captures', verb: 'get', name: '' }]);
});

test('the right to capture is asked for the node', async () => {
  const reviews = reviewer();
  const request = create(CreateCaptureRequestSchema, { nodeName: 'node-1' });
  await new Gate(reviews, peers).admit(
    context({ method: method.createCapture, authorization: 'bearer good' }),
    request,
  );
  expect(reviews.deeds).toEqual([{ resource: 'captures', verb: 'create', name: 'node-1' }]);
});

test.each([
  { of: method.getAnalysis, request: GetAnalysisRequestSchema },
  { of: ResultsService.method.listRows, request: ListRowsRequestSchema },
  { of: ResultsService.method.watchAnalysis, request: WatchAnalysisRequestSchema },
])(
  'where a flag of a request to $of.name needs a right of its own, that is asked for too, for whoever has a token',
  async ({ of, request }) => {
    const reviews = reviewer();
    const gate = new Gate(reviews, peers);
    const read = async (unmask: boolean) => {
      await gate.admit(
        context({ method: of, authorization: 'Bearer good' }),
        create(request, { captureId: 'c', unmask }),
      );
      return reviews.deeds.splice(0).map(({ resource, verb }) => `${resource} ${verb}`);
    };
    expect(await read(false)).toEqual(['analyses get']);
    expect(await read(true)).toEqual(['analyses get', 'analyses unmask']);
  },
);

test.each([
  { sentence: 'without a token', call: {}, code: 'unauthenticated' },
  { sentence: 'with a bad token', call: { authorization: 'Bearer bad' }, code: 'unauthenticated' },
  { sentence: 'with another scheme', call: { authorization: 'Basic good' }, code: 'unauthenticated' },
  { sentence: 'with two tokens', call: { authorization: ['Bearer good', 'Bearer good'] }, code: 'unauthenticated' },
  {
    sentence: 'with a token in the place of a node',
    call: { method: AgentService.method.attach, authorization: 'Bearer good' },
    code: 'unauthenticated',
  },
  {
    sentence: 'with a token beside a certificate of a node',
    call: { peerNames: 'URI:spiffe://kcorder/node/n1/u1', authorization: 'Bearer good' },
    code: 'permission_denied',
  },
])('$sentence nobody is let in', async ({ call, code }) => {
  await expect(new Gate(reviewer(), peers).admit(context(call), undefined)).rejects.toMatchObject({ code });
});

test('one caller adds 60 records to the audit log at once and then ten a second; others and plain queries are not kept waiting', async () => {
  vi.useFakeTimers();
  const gate = new Gate(reviewer(), peers);
  const call = async (of: CallContext['method'], peerNames = '') =>
    await gate.admit(
      context({ method: of, peerNames, ...(peerNames === '' && { authorization: 'Bearer good' }) }),
      undefined,
    );
  for (let i = 0; i < 60; i += 1) await call(i % 2 === 0 ? method.getAnalysis : method.downloadEvidence);
  await expect(call(method.getAnalysis)).rejects.toMatchObject({ code: 'resource_exhausted', retryAfterMs: 100 });
  await expect(call(ScheduleService.method.createSchedule)).rejects.toMatchObject({ code: 'resource_exhausted' });
  await call(method.getCapture);
  await call(method.getAnalysis, 'URI:spiffe://kcorder/operator/bob');
  vi.advanceTimersByTime(100);
  await call(method.getAnalysis);
  await expect(call(method.getAnalysis)).rejects.toMatchObject({ code: 'resource_exhausted' });
});

test('who lacks the right is told which', async () => {
  const gate = new Gate(
    reviewer('alice@example.com may not get captures.kcorder.dev: bind a role that has this verb'),
    peers,
  );
  const call = context({ authorization: 'Bearer good' });
  await expect(gate.admit(call, undefined)).rejects.toMatchObject({
    code: 'permission_denied',
    message: expect.stringContaining('may not get captures.kcorder.dev'),
  });
  expect(() => callerOf(call)).toThrow('nobody was admitted');
});

test('a certificate that does not hold any more names nobody, whatever the handshake saw', async () => {
  const expired = {
    check: (certificate: Uint8Array) => {
      throw new Fault('unauthenticated', `not now: ${Buffer.from(certificate).toString()}`);
    },
  };
  const peerCertificate = Buffer.from('of alice');
  for (const names of ['operator/alice', 'node/n1/u1']) {
    const call = context({ peerNames: `URI:spiffe://kcorder/${names}`, peerCertificate });
    await expect(new Gate(reviewer(), expired).admit(call, undefined)).rejects.toMatchObject({
      code: 'unauthenticated',
      message: 'not now: of alice',
    });
    expect(() => callerOf(call)).toThrow('nobody was admitted');
  }
});

test('when the API server is down nobody with a token is let in', async () => {
  const down: Reviewer = {
    authenticate: async () => alice,
    refusal: async () => {
      throw new Fault('cluster_unavailable', 'no answer');
    },
    podsRefusal: async () => undefined,
  };
  await expect(new Gate(down, peers).admit(context({ authorization: 'Bearer good' }), undefined)).rejects.toMatchObject(
    {
      code: 'cluster_unavailable',
    },
  );
});

test('without a cluster no token is taken', async () => {
  await expect(
    new Gate(undefined, peers).admit(context({ authorization: 'Bearer good' }), undefined),
  ).rejects.toMatchObject({
    code: 'unauthenticated',
    message: expect.stringContaining('takes no tokens'),
  });
});

test('enrolling needs no identity yet, a version only somebody known', async () => {
  const reviews = reviewer('no right at all');
  await new Gate(reviews, peers).admit(context({ method: EnrolmentService.method.enrol }), undefined);
  await new Gate(reviews, peers).admit(context({ method: method.getVersion, authorization: 'Bearer good' }), undefined);
  await expect(new Gate(reviews, peers).admit(context({ method: method.getVersion }), undefined)).rejects.toMatchObject(
    {
      code: 'unauthenticated',
    },
  );
  expect(reviews.deeds).toEqual([]);
});

test('a stream is asked about every 25 s as long as it lives, and one by certificate never', async () => {
  vi.useFakeTimers();
  const reviews = reviewer();
  const gate = new Gate(reviews, peers);
  const ends: Fault[] = [];
  const byToken = context({ method: method.watchCapture, authorization: 'Bearer good' });
  const stop = gate.supervise(byToken, undefined, (fault) => ends.push(fault));
  gate.supervise(context({ peerNames: 'URI:spiffe://kcorder/operator/alice' }), undefined, (fault) => ends.push(fault));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(reviews.deeds).toEqual(Array(2).fill({ resource: 'captures', verb: 'get', name: '' }));
  stop();
  await vi.advanceTimersByTimeAsync(600_000);
  expect([reviews.deeds.length, ends]).toEqual([2, []]);
});

test('where pods run is told to whoever may list them; an operator by certificate is one of no cluster', async () => {
  const gate = new Gate(reviewer(), peers);
  const call = context({ method: method.resolvePods, authorization: 'Bearer good' });
  await gate.admit(call, undefined);
  await gate.admitToPods(call, 'shop');
  await expect(gate.admitToPods(call, 'bank')).rejects.toMatchObject({
    code: 'permission_denied',
    message: 'alice@example.com may not list pods in namespace bank',
  });
  const operator = context({ peerNames: 'URI:spiffe://kcorder/operator/alice' });
  await gate.admit(operator, undefined);
  await gate.admitToPods(operator, 'bank');
  await expect(gate.admitToPods(context(), 'shop')).rejects.toMatchObject({ code: 'unauthenticated' });
});

test('who calls, and their right, are asked again for a request that comes ten seconds after its headers', async () => {
  const reviews = reviewer();
  let nowMs = 0;
  const pace = { everyMs: 25_000, againMs: 6_000, untoldMs: 600_000, now: () => nowMs };
  const gate = new Gate(reviews, peers, pace);
  const arrive = async () => {
    const call = context({ method: method.listNodes, authorization: 'Bearer good' });
    await gate.meet({ ...call, path: '/kcorder.v1.OperatorService/ListNodes' });
    return call;
  };
  const [soon, late] = [await arrive(), await arrive()];
  reviews.refusal = async () => new Fault('permission_denied', 'alice may not any more');
  nowMs = 9_999;
  await gate.admit(soon, undefined);
  nowMs = 10_000;
  await expect(gate.admit(late, undefined)).rejects.toMatchObject({ message: 'alice may not any more' });
});

test('service accounts of one namespace are counted together: whoever can make one there can make many', async () => {
  const reviews = reviewer();
  reviews.authenticate = async (token) => ({ ...alice, name: token });
  const gate = new Gate(reviews, peers);
  const counted = async (token: string) => {
    const { metadata, peer, peerNames } = context({ authorization: `Bearer ${token}` });
    return (await gate.meet({ path: '/grpc.health.v1.Health/Check', metadata, peer, peerNames })).identity;
  };
  const names = ['system:serviceaccount:shop:a', 'system:serviceaccount:shop:b', 'bob'];
  expect(await Promise.all(names.map(counted))).toEqual([
    'user/system:serviceaccount:shop',
    'user/system:serviceaccount:shop',
    'user/bob',
  ]);
});

const enrolling = {
  path: '/kcorder.v1.EnrolmentService/Enrol',
  metadata: new Metadata(),
  peer: '10.0.0.1:1',
  peerNames: 'URI:spiffe://kcorder/node/n1/u1',
  peerCertificate: new Uint8Array(1),
};

test('whoever enrols is counted by the certificate that they show, and as a stranger without one', async () => {
  const gate = new Gate(undefined, peers);
  expect(await gate.meet(enrolling)).toEqual({ identity: 'node/n1/u1' });
  const { peerCertificate: _, ...anonymous } = enrolling;
  expect(await gate.meet({ ...anonymous, peerNames: '' })).toEqual({});
});

test.each([
  { sentence: 'that does not hold any more', holds: false, names: enrolling.peerNames },
  { sentence: 'that names nobody', holds: true, names: 'DNS:example' },
])('nobody enrols beside a certificate $sentence', async ({ holds, names }) => {
  const check = (): void => {
    if (!holds) throw new Fault('unauthenticated', 'it has expired');
  };
  await expect(new Gate(undefined, { check }).meet({ ...enrolling, peerNames: names })).rejects.toMatchObject({
    code: 'unauthenticated',
  });
});
