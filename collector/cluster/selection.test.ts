import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Fitting, nodesThatFit } from './selection.ts';
import { slimNode } from './slim.ts';
import { FakeApiServer } from './testing/api-server.ts';

let api: FakeApiServer;
beforeEach(async () => {
  api = await FakeApiServer.start();
  for (const name of ['n2', 'n1', 'n3']) api.put('nodes', { metadata: { name, uid: `u-${name}` } });
});
afterEach(async () => await api[Symbol.asyncDispose]());

const select = (wanted: Fitting) => nodesThatFit(api.cluster, wanted, (question) => question());
const everything = { nodeLabels: '', podNamespaces: [], podLabels: '' };
const pod = (name: string, nodeName: string, phase = 'Running') => ({
  metadata: { name, namespace: 'shop', uid: `p-${name}` },
  spec: { nodeName },
  status: { phase },
});

test('nodes by their labels, as the API server judges them', async () => {
  expect((await select({ ...everything, nodeLabels: 'pool in (a, b)' })).map(({ name }) => name)).toEqual([
    'n1',
    'n2',
    'n3',
  ]);
  expect(api.asked.map((path) => decodeURIComponent(path.replaceAll('+', ' ')))).toEqual([
    '/api/v1/nodes?labelSelector=pool in (a, b)&limit=5',
  ]);
});

test('nodes on which such pods run; pods that have ended or have no node count for nothing', async () => {
  for (const each of [pod('a', 'n1'), pod('b', 'n2', 'Succeeded'), pod('c', ''), pod('d', 'n9')]) api.put('pods', each);
  expect(await select({ ...everything, podLabels: 'app=web' })).toEqual([{ name: 'n1', uid: 'u-n1' }]);
  expect(api.asked.at(-1)).toContain('/api/v1/pods?labelSelector=app%3Dweb');
});

test('pods are looked for in each namespace, page by page', async () => {
  const pages: Record<string, unknown> = {
    '/api/v1/namespaces/shop/pods': { items: [pod('a', 'n3')], metadata: { continue: 'more' } },
    '/api/v1/namespaces/bank/pods': { items: [] },
  };
  let first = true;
  api.answer = (_method, path) => {
    const page = pages[path];
    if (page === undefined || path.includes('bank')) return page;
    const answer = first ? page : { items: [pod('b', 'n2')] };
    first = false;
    return answer;
  };
  const found = await select({ ...everything, podNamespaces: ['shop', 'bank'] });
  expect(found.map(({ name }) => name)).toEqual(['n2', 'n3']);
  expect(api.asked.filter((path) => path.includes('namespaces'))).toHaveLength(3);
});

test('pods as large as they may be keep no schedule from its nodes', async () => {
  for (let i = 0; i < 30; i += 1) {
    const { spec, ...rest } = pod(`p${i}`, 'n1');
    api.put('pods', { ...rest, ...{ spec: { ...spec, hostname: 'x'.repeat(400_000) } } });
  }
  await select({ ...everything, podLabels: 'app=web' });
  const limits = api.asked.flatMap((path) => (path.includes('/pods?') ? [/limit=(\d+)/.exec(path)?.[1]] : []));
  // The first page shows how large they are.
  expect(limits).toEqual(['5', '10', '10', '10']);
});

test.each([
  { fault: { status: 500 }, message: 'could not list nodes: see whether the API server answers' },
  { fault: { status: 400, message: 'bad selector' }, message: 'does not take a selector of nodes: bad selector' },
])('an API server that answers $fault.status', async ({ fault, message }) => {
  api.fault = fault;
  await expect(select(everything)).rejects.toMatchObject({
    code: 'cluster_unavailable',
    message: expect.stringContaining(message),
  });
});

test('of a node, what it is short of is kept, and nothing else of its status', () => {
  const node = {
    metadata: { name: 'n1', uid: 'u1', labels: { a: 'b' } },
    spec: { podCIDR: '10.0.0.0/24' },
    status: {
      images: [{ names: ['x'] }],
      conditions: [
        { type: 'MemoryPressure', status: 'True', message: 'long' },
        { type: 'DiskPressure', status: 'False' },
        { type: 'Ready', status: 'True' },
      ],
    },
  };
  slimNode(node);
  expect(node).toEqual({
    metadata: { name: 'n1', uid: 'u1' },
    status: { conditions: [{ type: 'MemoryPressure', status: 'True' }] },
  });
});
