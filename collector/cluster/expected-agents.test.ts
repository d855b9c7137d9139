import { afterEach, beforeEach, expect, test } from 'vitest';
import { ExpectedAgents } from './expected-agents.ts';
import { FakeApiServer } from './testing/api-server.ts';

// What a real API server says of a DaemonSet is seen in test/e2e.

const agents = { namespace: 'kcorder', serviceAccount: 'kcorder-agent', daemonSet: 'kcorder-agent' };
let api: FakeApiServer;
let failures: unknown[];
let expected: ExpectedAgents;
beforeEach(async () => {
  api = await FakeApiServer.start();
  failures = [];
  expected = new ExpectedAgents(api.cluster, agents, (error) => failures.push(error));
});
afterEach(async () => {
  expected.stop();
  await api[Symbol.asyncDispose]();
});

function wants(desiredNumberScheduled: number): void {
  api.answer = (_, path) =>
    path.endsWith('/daemonsets/kcorder-agent') ? { kind: 'DaemonSet', status: { desiredNumberScheduled } } : undefined;
}

test('nothing is expected before the DaemonSet was asked', () => {
  expect(expected.count).toBeUndefined();
});

test('the count is what the DaemonSet wants', async () => {
  wants(7);
  await expected.look();
  expect(expected.count).toBe(7);
  wants(6);
  await expected.look();
  expect(expected.count).toBe(6);
});

test('without a DaemonSet there is no count', async () => {
  wants(7);
  await expected.look();
  api.answer = () => undefined;
  await expected.look();
  expect(expected.count).toBeUndefined();
  expect(failures).toEqual([]);
});

test('an API server that fails is told of, and the last count stays', async () => {
  wants(7);
  await expected.look();
  api.fault = { status: 403, message: 'daemonsets is forbidden' };
  await expected.look();
  expect(expected.count).toBe(7);
  expect(failures).toMatchObject([{ code: 'cluster_unavailable' }]);
});
