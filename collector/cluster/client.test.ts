import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { request, states } from '../testing/states.ts';
import { openClusterServices } from './open.ts';
import { ClusterReviewer } from './people.ts';
import { FakeApiServer } from './testing/api-server.ts';

const now = <T>(question: () => Promise<T>): Promise<T> => question();

let api: FakeApiServer;
beforeEach(async () => {
  api = await FakeApiServer.start();
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

const fitting = { nodeLabels: '', podNamespaces: [], podLabels: '' };

function open(failed: (error: unknown) => void) {
  const names = { namespace: 'kcorder', secret: 's', configMap: 'c' };
  const agents = { namespace: 'kcorder', serviceAccount: 'a', daemonSet: 'd' };
  return openClusterServices(names, agents, false, { nodeGone: () => undefined, failed }, api.cluster);
}

test('however many schedules look for nodes by pods, one page at a time is read for them', async () => {
  const cluster = open(() => undefined);
  let [reading, most] = [0, 0];
  api.answer = (_method, path) => {
    if (!path.endsWith('/namespaces/shop/pods')) return undefined;
    reading += 1;
    most = Math.max(most, reading);
    return new Promise((resolve) =>
      setTimeout(() => {
        reading -= 1;
        resolve({ items: [], metadata: {} });
      }, 1),
    );
  };
  const wanted = Array.from({ length: 20 }, () => ({ ...fitting, podNamespaces: ['shop'] }));
  await Promise.all(wanted.map((each) => cluster.nodesThatFit(each)));
  expect(most).toBe(1);
  cluster.close();
});

test('whatever an API server does not answer is given up, by its request too: no connection stays open', async () => {
  api.fault = 'silence';
  const failures: unknown[] = [];
  const cluster = open((error) => void failures.push(error));
  const person = { name: 'alice', uid: '', groups: [], extra: {} };
  const questions = [
    cluster.store.read(),
    cluster.store.write([], undefined),
    cluster.store.write([], '1'),
    cluster.store.publish(''),
    cluster.checkAgent('token', new Uint8Array()),
    cluster.reviewer.authenticate('token', 'host', 'call'),
    cluster.reviewer.refusal(person, { resource: 'captures', verb: 'get', name: '' }, 'call'),
    cluster.reviewer.podsRefusal(person, 'n'),
    cluster.nodesThatFit(fitting),
    cluster.placeOf({ namespace: 'n', name: 'p' }, now),
    cluster.placesOf('', '', now),
    cluster.placesOf('n', '', now),
    cluster.tell({ request, state: states.sealed }),
  ];
  const ended = Promise.allSettled(questions);
  // The list of nodes, that of pods and the DaemonSet besides.
  await until(() => api.unanswered === questions.length + 3);
  const endings = await ended;
  expect(new Set(endings.map((ending) => ending.status === 'rejected' && ending.reason.code))).toEqual(
    new Set(['cluster_unavailable']),
  );
  await until(() => failures.length >= 3);
  cluster.close();
  await until(() => api.unanswered === 0);
});

test('an answer that is far too long is given up, and one that is no name of a person lets nobody in', async () => {
  const reviewer = new ClusterReviewer(api.cluster);
  const vouchFor = (username: unknown) => {
    api.answer = () => ({ status: { authenticated: true, audiences: ['kcorder'], user: { username } } });
  };
  vouchFor('x'.repeat(5 << 20));
  await expect(reviewer.authenticate('a', 'host')).rejects.toMatchObject({
    code: 'cluster_unavailable',
    cause: expect.objectContaining({ message: 'its answer has more than 4194304 bytes' }),
  });
  for (const username of [5, {}, ['alice'], null]) {
    vouchFor(username);
    await expect(reviewer.authenticate(`b${username}`, 'host')).rejects.toMatchObject({ code: 'unauthenticated' });
  }
  vouchFor('alice');
  expect(await reviewer.authenticate('c', 'host')).toMatchObject({ name: 'alice' });
});
