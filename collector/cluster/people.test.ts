import { Fault } from '@kcorder/proto/fault.ts';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { checkAgentToken } from './agent-tokens.ts';
import { ClusterReviewer } from './people.ts';
import { FakeApiServer } from './testing/api-server.ts';

let api: FakeApiServer;
beforeEach(async () => {
  api = await FakeApiServer.start();
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

const host = '10.0.0.9';
const agents = { namespace: 'kcorder', serviceAccount: 'kcorder-agent', daemonSet: 'kcorder-agent' };

test.each([
  { sentence: 'answers with 500', fault: { status: 500 } },
  { sentence: 'breaks the connection', fault: 'reset' as const },
  { sentence: 'does not answer', fault: 'silence' as const },
])('an API server that $sentence lets nobody in', async ({ fault }) => {
  api.fault = fault;
  const fails = { code: 'cluster_unavailable', message: expect.stringContaining('the API server could not') };
  const reviewer = new ClusterReviewer(api.cluster);
  const person = { name: 'alice', uid: '', groups: [], extra: {} };
  await Promise.all([
    expect(checkAgentToken(api.cluster, agents, 'token')).rejects.toMatchObject(fails),
    expect(reviewer.authenticate('token', host)).rejects.toMatchObject(fails),
    expect(reviewer.refusal(person, { resource: 'captures', verb: 'get', name: '' })).rejects.toMatchObject(fails),
  ]);
});

test('a right that the collector itself lacks is named', async () => {
  api.fault = {
    status: 403,
    message: 'tokenreviews.authentication.k8s.io is forbidden: User "x" cannot create resource',
  };
  await expect(new ClusterReviewer(api.cluster).authenticate('token', host)).rejects.toMatchObject({
    code: 'cluster_unavailable',
    message: expect.stringMatching(/create tokenreviews.*lacks a right.*cannot create resource.*RBAC/),
  });
});

/** Vouches for these tokens, each as the person of its name. Gives back the audiences that were asked for. */
function vouchFor(...good: string[]): (string[] | undefined)[] {
  const asked: (string[] | undefined)[] = [];
  api.answer = (_method, _path, body) => {
    const { spec } = JSON.parse(body) as { spec: { token: string; audiences?: string[] } };
    asked.push(spec.audiences);
    const authenticated = spec.audiences === undefined && good.includes(spec.token);
    return { status: { authenticated, ...(authenticated && { user: { username: spec.token, groups: ['g'] } }) } };
  };
  return asked;
}

test('a token for us is tried first, then one for the API server; whoever it is, is remembered for a moment', async () => {
  const asked = vouchFor('alice');
  const reviewer = new ClusterReviewer(api.cluster);
  const alice = { name: 'alice', uid: '', groups: ['g'], extra: {} };
  // Also those that come at once ask but once.
  expect(await Promise.all([reviewer.authenticate('alice', host), reviewer.authenticate('alice', 'other')])).toEqual([
    alice,
    alice,
  ]);
  await expect(reviewer.authenticate('t', host)).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(await reviewer.authenticate('alice', host)).toEqual(alice);
  await expect(reviewer.authenticate('t', host)).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(asked).toEqual([['kcorder'], undefined, ['kcorder'], undefined]);
});

test('garbage tokens, 80 at once and on and on: few reviews, whoever is known or comes from elsewhere gets in', async () => {
  vouchFor('alice', 'bob');
  const reviewer = new ClusterReviewer(api.cluster);
  await reviewer.authenticate('alice', host);
  const endings = new Set<string>();
  for (let round = 0; round < 20; round += 1) {
    const tokens = Array.from({ length: 80 }, (_, i) => `garbage-${round}-${i}`);
    const refused = tokens.map((token) => reviewer.authenticate(token, host).catch((fault: Fault) => fault));
    expect(await reviewer.authenticate('alice', host)).toMatchObject({ name: 'alice' });
    for (const fault of await Promise.all(refused)) {
      if (!(fault instanceof Fault)) throw new Error('somebody got in');
      endings.add(fault.code);
      if (fault.code === 'resource_exhausted') expect(fault.retryAfterMs).toBeGreaterThan(0);
    }
  }
  expect(endings).toEqual(new Set(['unauthenticated', 'resource_exhausted']));
  // 1,600 tokens: eight at once before the first refusal, and then what the pace of their host leaves.
  expect(api.asked.length).toBeLessThan(2 * 30);
  expect(await reviewer.authenticate('bob', '10.0.0.10')).toMatchObject({ name: 'bob' });
});

const outage = 'Post "https://webhook": connect: connection refused';

/** Vouches for nobody, with an error: one that knows the tokens is away. */
function failToVouch(): void {
  api.answer = () => ({ status: { authenticated: false, error: outage } });
}

test('an answer with an error is no failure of its address, and the error is kept for the log alone', async () => {
  failToVouch();
  const reviewer = new ClusterReviewer(api.cluster);
  const unclear = {
    code: 'unauthenticated',
    message: expect.not.stringContaining('webhook'),
    cause: expect.objectContaining({ message: `the API server: ${outage}` }),
  };
  // More than an address may have that are simply not good.
  for (const token of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'alice'])
    await expect(reviewer.authenticate(token, host)).rejects.toMatchObject(unclear);
  // The one that is remembered too.
  await expect(reviewer.authenticate('alice', host)).rejects.toMatchObject(unclear);
  vouchFor('bob');
  expect(await reviewer.authenticate('bob', host)).toMatchObject({ name: 'bob' });
});

test('answers with an error have a pace all the same, and one address cannot use up what is left to others', async () => {
  failToVouch();
  const reviewer = new ClusterReviewer(api.cluster);
  const one = await garbageFrom(reviewer, [host]);
  expect(one.reviewed).toBeGreaterThanOrEqual(10);
  expect(one.reviewed).toBeLessThanOrEqual(12 + one.seconds);
  const all = await garbageFrom(reviewer, addresses(200));
  expect(one.reviewed + all.reviewed).toBeGreaterThanOrEqual(110);
  expect(one.reviewed + all.reviewed).toBeLessThanOrEqual(111 + 1.5 * (one.seconds + all.seconds));
});

test('somebody known is no stranger after an answer with an error', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    vouchFor('alice');
    const reviewer = new ClusterReviewer(api.cluster);
    await reviewer.authenticate('alice', host);
    vi.advanceTimersByTime(11_000);
    failToVouch();
    await expect(reviewer.authenticate('alice', host)).rejects.toMatchObject({ code: 'unauthenticated' });
    await garbageFrom(reviewer, [host]);
    vi.advanceTimersByTime(5_500);
    vouchFor('alice');
    expect(await reviewer.authenticate('alice', host)).toMatchObject({ name: 'alice' });
  } finally {
    vi.useRealTimers();
  }
});

test('why the authorizer could not tell is kept for the log; its reason is told to the caller', async () => {
  const evaluationError = 'webhook "authz": connection refused';
  api.answer = () => ({ status: { allowed: false, reason: 'no opinion', evaluationError } });
  const reviewer = new ClusterReviewer(api.cluster);
  const person = { name: 'alice', uid: '', groups: [], extra: {} };
  const refusals = [
    await reviewer.refusal(person, { resource: 'captures', verb: 'create', name: 'n1' }),
    await reviewer.podsRefusal(person, 'shop'),
  ];
  expect(refusals.map((refusal) => refusal?.message)).toEqual([
    'alice may not create captures.kcorder.dev "n1" (no opinion): bind a role that has this verb, such as one of the chart\'s cluster roles',
    'alice may not list pods in namespace shop (no opinion): bind a role there that has this verb, such as view, or name the node',
  ]);
  for (const refusal of refusals)
    expect(refusal).toMatchObject({
      code: 'permission_denied',
      cause: expect.objectContaining({ message: `the API server: ${evaluationError}` }),
    });
});

/** Shows garbage tokens from all of these addresses at once, again and again; how many were reviewed, and how long it took. */
async function garbageFrom(reviewer: ClusterReviewer, hosts: string[]): Promise<{ reviewed: number; seconds: number }> {
  const began = performance.now();
  const before = api.asked.length;
  for (let round = 0; round < 20; round += 1) {
    const shown = hosts.flatMap((one) =>
      [0, 1, 2].map((i) => reviewer.authenticate(`garbage-${one}-${round}-${i}`, one).catch((fault: Fault) => fault)),
    );
    for (const ending of await Promise.all(shown)) expect(ending).toBeInstanceOf(Fault);
  }
  return { reviewed: (api.asked.length - before) / 2, seconds: (performance.now() - began) / 1000 };
}

const addresses = (count: number): string[] => Array.from({ length: count }, (_, i) => `10.1.${i >> 8}.${i & 255}`);

test('garbage tokens from 50 addresses: somebody new gets in from an address that has shown none', async () => {
  vouchFor('alice', 'bob');
  const reviewer = new ClusterReviewer(api.cluster);
  const { reviewed, seconds } = await garbageFrom(reviewer, addresses(50));
  // The reserve is for each of them once.
  expect(reviewed).toBeLessThanOrEqual(10 + 50 + seconds);
  expect(await reviewer.authenticate('alice', host)).toMatchObject({ name: 'alice' });
  // A token that is good costs its address nothing.
  expect(await reviewer.authenticate('bob', host)).toMatchObject({ name: 'bob' });
});

test('garbage tokens from 200 addresses use the reserve up: the API server is asked about no more', async () => {
  vouchFor();
  const { reviewed, seconds } = await garbageFrom(new ClusterReviewer(api.cluster), addresses(200));
  expect(reviewed).toBeGreaterThanOrEqual(110);
  expect(reviewed).toBeLessThanOrEqual(110 + 1.5 * seconds);
});

test.each(['', 'x'.repeat(20_000)])('a token that can be none is not even asked for', async (token) => {
  await expect(new ClusterReviewer(api.cluster).authenticate(token, host)).rejects.toMatchObject({
    code: 'unauthenticated',
  });
  expect(api.asked).toEqual([]);
});

test('a flood of tokens asks the API server no more than a bounded number of questions at once', async () => {
  api.fault = 'silence';
  const reviewer = new ClusterReviewer(api.cluster);
  const endings = await Promise.all(
    Array.from({ length: 500 }, (_, i) =>
      reviewer.authenticate(`t${i}`, host).catch((error: { code: string }) => error.code),
    ),
  );
  expect(endings.filter((code) => code === 'resource_exhausted')).toHaveLength(491);
  // Eight, and one of the reserve.
  expect(api.asked.length).toBeLessThanOrEqual(9);
});

test('somebody who keeps the API server busy takes no place of others, nor of streams; calls of one right ask once', async () => {
  const open: (() => void)[] = [];
  api.answer = () => new Promise((answer) => open.push(() => answer({ status: { allowed: true } })));
  const reviewer = new ClusterReviewer(api.cluster);
  const may = (name: string, node: string, asking: 'call' | 'stream' = 'call') =>
    reviewer
      .refusal({ name, uid: '', groups: [], extra: {} }, { resource: 'captures', verb: 'create', name: node }, asking)
      .catch((fault: Fault) => fault.code);
  const mallory = Array.from({ length: 25 }, (_, i) => may('system:serviceaccount:m:a', `n${i}`));
  const accounts = Array.from({ length: 25 }, (_, i) => may(`system:serviceaccount:m:a${i}`, 'n1'));
  const others = [may('alice', 'n1'), may('alice', 'n1'), may('system:serviceaccount:m:a', 'n1', 'stream')];
  await vi.waitFor(() => expect(open).toHaveLength(10));
  for (const answer of open) answer();
  expect(await Promise.all(others)).toEqual([undefined, undefined, undefined]);
  const endings = await Promise.all([...mallory, ...accounts]);
  expect(endings.filter((ending) => ending === 'resource_exhausted')).toHaveLength(42);
});

/** Vouches for each token as the service account before its slash. */
function vouchForMany(): void {
  api.answer = (_method, _path, body) => {
    const { token } = (JSON.parse(body) as { spec: { token: string } }).spec;
    if (token.startsWith('garbage')) return { status: { authenticated: false } };
    const username = token.split('/')[0];
    return { status: { authenticated: true, audiences: ['kcorder'], user: { username } } };
  };
}

test('any number of good tokens of one namespace makes nobody else a stranger', async () => {
  vouchForMany();
  const reviewer = new ClusterReviewer(api.cluster);
  const shared = '10.0.0.7';
  await reviewer.authenticate('alice/1', shared);
  for (let i = 0; i < 1_100; i += 1) await reviewer.authenticate(`system:serviceaccount:m:a${i % 9}/${i}`, host);
  for (let i = 0; i < 8; i += 1) await reviewer.authenticate(`garbage-${i}`, shared).catch(() => undefined);
  const before = api.asked.length;
  expect(await reviewer.authenticate('alice/1', shared)).toMatchObject({ name: 'alice' });
  expect(api.asked.length - before).toBeLessThanOrEqual(1);
});

test('a look at a stream is no stranger, whatever came from its address meanwhile', async () => {
  vouchForMany();
  const reviewer = new ClusterReviewer(api.cluster);
  for (let i = 0; i < 8; i += 1) await reviewer.authenticate(`garbage-${i}`, host).catch(() => undefined);
  await expect(reviewer.authenticate('bob/1', host, 'call')).rejects.toMatchObject({ code: 'resource_exhausted' });
  expect(await reviewer.authenticate('bob/1', host, 'stream')).toMatchObject({ name: 'bob' });
});
