import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';
import { OutcomeKind, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Certificates, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand, type Surroundings } from '../fixtures/command.ts';
import { hostileTexts } from '../fixtures/hostile-text.ts';
import { analysisOf, captureOf } from '../fixtures/lab-capture.ts';
import { collectorOf } from '../fixtures/pods-by-node.ts';

let certificates: Certificates;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates[Symbol.dispose]());

type Handlers = Parameters<typeof startCollector>[1];

async function kcorder(line: string, handlers: Handlers, surroundings: Surroundings = {}) {
  await using collector = await startCollector(certificates, handlers);
  const way = ['--collector', collector.address, '--tls-dir', certificates.operatorDir];
  return await runCommand([...line.split(' '), ...way], surroundings);
}

const two = { 'node-1': ['web-1', 'web-2'], 'node-2': ['web-3'] };

test.each([
  [
    '--pod shop/web-1 --pod shop/web-3',
    [
      ['pod', ['shop', 'web-1', '']],
      ['pod', ['shop', 'web-3', '']],
    ],
  ],
  ['-l app=web,tier!=cache --pod-namespace shop', [['selector', ['shop', 'app=web,tier!=cache']]]],
  ['--selector app=web', [['selector', ['', 'app=web']]]],
  ['--all-in-namespace shop', [['allInNamespace', 'shop']]],
])('capture %s asks for the nodes and orders one capture of each', async (options, expected) => {
  const { handlers, asked, orders } = collectorOf(two);
  const ran = await kcorder(`capture ${options} --reason INC-1`, handlers);
  expect(asked).toEqual(expected);
  expect(orders.map(({ nodeName, reason, pods }) => [nodeName, reason, pods])).toEqual([
    ['node-1', 'INC-1', ['web-1', 'web-2']],
    ['node-2', 'INC-1', ['web-3']],
  ]);
  expect(ran.stderr).toMatch(
    /^node-1: shop\/web-1, shop\/web-2\nnode-2: shop\/web-3\nnode-1: capture id-node-1 is ordered\n/,
  );
  expect(ran.stdout).toMatch(/^ID .*\nid-node-1 +node-1 .*\nid-node-2 +node-2 /);
  expect(ran.exit).toBe(0);
});

test('a key makes one key for each node, the same ones again, and never more than 128 characters', async () => {
  const { handlers, orders } = collectorOf(two);
  const line = `capture --all-in-namespace shop --reason x --idempotency-key ${'k'.repeat(128)}`;
  await kcorder(line, handlers);
  await kcorder(line, handlers);
  await kcorder('capture --all-in-namespace shop --reason x', handlers);
  const keys = orders.map(({ key }) => key);
  expect(keys.slice(0, 2)).toEqual(keys.slice(2, 4));
  expect(new Set(keys).size).toBe(4);
  expect(Math.max(...keys.map((key) => key.length))).toBeLessThanOrEqual(128);
});

test('--wait shows each node as it ends, its pods before all others, and how many have none', async () => {
  const analysis = (nodeName: string) => analysisOf({ capture: captureOf({ nodeName }) });
  const { handlers } = collectorOf(
    { 'node-1': ['web-7d9c4f6b8-x2x5q', 'gone'], 'node-2': ['other'] },
    { getAnalysis: async ({ captureId }) => analysis(captureId.slice(3)) },
  );
  const ran = await kcorder('capture --all-in-namespace shop --reason x --wait --no-color', handlers, {
    columns: 100,
  });
  const headings = [...ran.stdout.matchAll(/^(node-\d) > (\S+) > \S+ > (\S+)$/gm)].map(([, ...parts]) =>
    parts.join(' '),
  );
  expect(headings.filter((heading) => /log-shipper|beacon/.test(heading))).toEqual([
    'node-1 shop log-shipper',
    'node-1 demo beacon',
    'node-2 demo beacon',
    'node-2 shop log-shipper',
  ]);
  expect(ran.stderr).toContain(
    'warning: node-1: no trace of pod shop/gone in the image: it ended before, or the node did not name it\n',
  );
  expect(ran.stderr).toContain('node-2: evidence complete: 330.1 MiB');
  expect(ran.stderr).not.toContain('\x1b[K');
  expect(ran.exit).toBe(0);
});

test('in JSON it is a list with one entry for each node', async () => {
  const refused = { node: 'node-2', fault: new Fault('node_offline', 'the agent of node node-2 is not attached') };
  const { handlers } = collectorOf(two);
  const { createCapture } = handlers;
  const some: Handlers = {
    ...handlers,
    createCapture: async (request, context) => {
      if (request.nodeName === refused.node || createCapture === undefined) throw refused.fault;
      return createCapture(request, context);
    },
  };
  const ordered = await kcorder('capture -l app=web --reason x -o json', some);
  expect(JSON.parse(ordered.stdout)).toMatchObject([
    {
      nodeName: 'node-1',
      pods: [{ name: 'web-1', uid: 'uid-web-1' }, { name: 'web-2' }],
      capture: { id: 'id-node-1' },
      error: null,
    },
    { nodeName: 'node-2', capture: null, error: { code: 'node_offline' } },
  ]);
  expect(ordered.stderr).toContain('warning: node-2: not ordered: the agent of node node-2 is not attached.\n');
  expect(ordered.exit).toBe(1);
  const waited = await kcorder('capture -l app=web --reason x -o json --wait', some);
  expect(JSON.parse(waited.stdout)).toMatchObject([
    { capture: { phase: 'PHASE_DONE' }, analysis: { processes: { length: 20 } }, error: null },
    { capture: null, analysis: null, error: { code: 'node_offline' } },
  ]);
  expect(waited.exit).toBe(1);
});

test.each([
  ['all well', OutcomeKind.COMPLETE, 0],
  ['one partial', OutcomeKind.PARTIAL, 3],
  ['one failed', OutcomeKind.FAILED, 1],
])('the exit code of several captures is that of the worst: %s', async (_what, kind, exit) => {
  const { handlers } = collectorOf(two, {
    watchCapture: async function* ({ captureId }) {
      const outcome = { kind: captureId === 'id-node-2' ? kind : OutcomeKind.COMPLETE };
      yield { capture: captureOf({ id: captureId, nodeName: captureId.slice(3), outcome }) };
    },
  });
  expect((await kcorder('capture -l app=web --reason x --wait', handlers)).exit).toBe(exit);
});

test('captures that go on after the timeout are told one by one', async () => {
  const { handlers } = collectorOf(two, {
    watchCapture: async function* ({ captureId }, { signal }) {
      if (captureId === 'id-node-1') {
        yield { capture: captureOf({ id: captureId, nodeName: 'node-1' }) };
        return;
      }
      yield { capture: captureOf({ id: captureId, nodeName: 'node-2', phase: Phase.REQUESTED, waiting: true }) };
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  });
  const ran = await kcorder('capture -l app=web --reason x --wait --timeout 500ms', handlers);
  expect(ran.stderr).toMatch(/^node-2: waiting for a free slot \(so many captures run at once\) {2}/m);
  expect(ran.stderr).toContain(
    'warning: node-2: capture id-node-2 has not ended within 500ms. Go on with `kcorder watch id-node-2`, stop it with `kcorder cancel id-node-2`.\n',
  );
  expect(ran.stdout).toContain('node-1 > demo');
  expect(ran.exit).toBe(124);
});

test.each<[string, string, Surroundings, { orders: number; exit: number }, RegExp]>([
  [
    'without a terminal more than 3 nodes need --yes',
    '',
    {},
    { orders: 0, exit: 2 },
    /run on 4 nodes, .* nothing was ordered\. Repeat with --yes/,
  ],
  ['--yes', ' --yes', {}, { orders: 4, exit: 0 }, /Ordered: 4 of 4/],
  [
    'on a terminal there is a question',
    '',
    { columns: 80, answer: 'y' },
    { orders: 4, exit: 0 },
    /Capture all 4 nodes\? \[y\/N\] /,
  ],
  [
    'no is no',
    '',
    { columns: 80, answer: 'n' },
    { orders: 0, exit: 130 },
    /\[y\/N\] kcorder: nothing was ordered\.\n$/,
  ],
  ['no answer is no', '', { columns: 80 }, { orders: 0, exit: 130 }, /\[y\/N\] kcorder: nothing was ordered\.\n$/],
])('%s', async (_what, options, surroundings, ending, expected) => {
  const { handlers, orders } = collectorOf({ a: ['p'], b: ['q'], c: ['r'], d: ['s'] });
  const ran = await kcorder(`capture --all-in-namespace shop --reason x${options}`, handlers, surroundings);
  expect(ran.stderr).toMatch(expected);
  expect({ orders: orders.length, exit: ran.exit }).toEqual(ending);
});

test('a node with more pods than a capture may note is captured all the same', async () => {
  const { handlers, orders } = collectorOf({ 'node-1': Array.from({ length: 110 }, (_, index) => `pod-${index}`) });
  const ran = await kcorder('capture --all-in-namespace shop --reason x', handlers);
  expect(orders.map(({ pods }) => pods.length)).toEqual([64]);
  expect(ran.exit).toBe(0);
});

test('the sentence of a capture that needs a second person is shown whole', async () => {
  const sentence =
    'a capture of node-1 needs a second person: ask one to run `kcorder approve node-1 --reason \'INC-1 "beacon"\'`, then repeat';
  const { handlers } = collectorOf(
    { 'node-1': ['p'] },
    {
      createCapture: () => Promise.reject(new Fault('approval_required', sentence)),
    },
  );
  const one = await kcorder('capture node-1 --reason x', handlers);
  expect(one.stderr).toBe(`kcorder: ${sentence}.\n`);
  const pods = await kcorder('capture --pod a/p --reason x', handlers);
  expect(pods.stderr).toBe(`node-1: shop/p\nwarning: node-1: not ordered: ${sentence}.\n`);
  expect([one.exit, pods.exit]).toEqual([1, 1]);
});

test.each<[string, Handlers['resolvePods'], string, number]>([
  ['no pod at all', async () => ({}), 'kcorder: no running pod has the labels app=web: nothing is captured.', 1],
  [
    'an unknown pod',
    () => Promise.reject(new Fault('pod_unknown', 'there is no pod shop/x')),
    'kcorder: there is no pod shop/x.\n',
    1,
  ],
  [
    'a collector that knows nothing of a cluster',
    () => Promise.reject(new Fault('cluster_unavailable', 'the API server does not answer the collector')),
    'kcorder: the API server does not answer the collector.\n',
    1,
  ],
  [
    'a pod without a node',
    async () => ({ nodes: [{ nodeName: '', pods: [{ namespace: 'shop', name: 'web' }] }] }),
    'warning: not on any node yet: shop/web\nkcorder: no running pod has the labels',
    1,
  ],
  [
    'what is known for long',
    async () => ({ nodes: [{ nodeName: 'n' }], asOf: timestampFromMs(Date.now() - 120_000) }),
    'warning: what the collector knows of the cluster is 2m old: pods may have moved\n',
    0,
  ],
])('%s is told', async (_what, resolvePods, expected, exit) => {
  const { handlers } = collectorOf({}, resolvePods === undefined ? {} : { resolvePods });
  const ran = await kcorder('capture -l app=web --reason x', handlers);
  expect(ran.stderr).toContain(expected);
  expect(ran.exit).toBe(exit);
});

test('pods are looked for again when the collector has others served first', async () => {
  const { handlers } = collectorOf(two);
  const { resolvePods } = handlers;
  let calls = 0;
  const ran = await kcorder('capture -l app=web --reason x', {
    ...handlers,
    resolvePods: async (request, context) => {
      calls += 1;
      if (calls === 1 || resolvePods === undefined)
        throw new Fault('resource_exhausted', 'user/ci has 4 such calls open', { retryAfterMs: 1 });
      return resolvePods(request, context);
    },
  });
  expect([ran.exit, calls]).toEqual([0, 2]);
});

test('hostile names of nodes and pods are shown, never obeyed', async () => {
  const names = hostileTexts.filter((text) => text !== '');
  const { handlers } = collectorOf(Object.fromEntries(names.map((name) => [name, [name]])), {
    createCapture: async ({ nodeName }) => ({ capture: captureOf({ id: `id-${nodeName}`, nodeName }) }),
  });
  for (const options of ['', ' --wait', ' --wait -o json', ' -o yaml']) {
    const ran = await kcorder(`capture --all-in-namespace x --yes --reason x${options}`, handlers);
    const odd = [...new Set(ran.stdout + ran.stderr)].filter((character) => /[\p{C}\p{Zl}\p{Zp}]/u.test(character));
    expect(odd).toEqual(['\n']);
  }
});
