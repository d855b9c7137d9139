import { afterEach, beforeEach, expect, test } from 'vitest';
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
    expect(reviewer.authenticate('token')).rejects.toMatchObject(fails),
    expect(reviewer.refusal(person, { resource: 'captures', verb: 'get', name: '' })).rejects.toMatchObject(fails),
  ]);
});

test('a right that the collector itself lacks is named', async () => {
  api.fault = {
    status: 403,
    message: 'tokenreviews.authentication.k8s.io is forbidden: User "x" cannot create resource',
  };
  await expect(new ClusterReviewer(api.cluster).authenticate('token')).rejects.toMatchObject({
    code: 'cluster_unavailable',
    message: expect.stringMatching(/create tokenreviews.*lacks a right.*cannot create resource.*RBAC/),
  });
});

test('a token for us is tried first, then one for the API server; who was recognised is remembered for a moment, a refusal never', async () => {
  const audiences: unknown[] = [];
  let authenticated = false;
  api.answer = (_method, _path, body) => {
    const { spec } = JSON.parse(body) as { spec: { audiences?: string[] } };
    audiences.push(spec.audiences);
    const mine = spec.audiences === undefined && authenticated;
    return {
      status: mine ? { authenticated: true, user: { username: 'alice', groups: ['g'] } } : { authenticated: false },
    };
  };
  const reviewer = new ClusterReviewer(api.cluster);
  await expect(reviewer.authenticate('t')).rejects.toMatchObject({ code: 'unauthenticated' });
  authenticated = true;
  expect(await reviewer.authenticate('t')).toEqual({ name: 'alice', uid: '', groups: ['g'], extra: {} });
  expect(await reviewer.authenticate('t')).toMatchObject({ name: 'alice' });
  expect(audiences).toEqual([['kcorder'], undefined, ['kcorder'], undefined]);
});

test.each(['', 'x'.repeat(20_000)])('a token that can be none is not even asked for', async (token) => {
  await expect(new ClusterReviewer(api.cluster).authenticate(token)).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(api.asked).toEqual([]);
});

test('a flood of tokens asks the API server no more than a bounded number of questions at once', async () => {
  api.fault = 'silence';
  const reviewer = new ClusterReviewer(api.cluster);
  const endings = await Promise.all(
    Array.from({ length: 500 }, (_, i) =>
      reviewer.authenticate(`t${i}`).catch((error: { code: string }) => error.code),
    ),
  );
  expect(endings.filter((code) => code === 'resource_exhausted')).toHaveLength(436);
  expect(api.asked.length).toBeLessThanOrEqual(64);
});
