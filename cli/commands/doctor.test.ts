import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { podOf } from '../fixtures/cluster.ts';
import { type ClusterRig, startRig } from '../fixtures/cluster-rig.ts';
import { runCommand } from '../fixtures/command.ts';
import type { Seen } from '../fixtures/kubernetes.ts';

const api = '/api/v1/namespaces/kcorder';
const reviews = 'POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
const sets = 'GET /apis/apps/v1/namespaces/kcorder/daemonsets';
const daemonSet = (desired: number, ready: number) => ({
  items: [{ metadata: { name: 'kcorder-agent' }, status: { desiredNumberScheduled: desired, numberReady: ready } }],
});
const nodeOf = (name: string, taints: object[] = []) => ({
  metadata: { name, labels: { 'kubernetes.io/os': 'linux' } },
  spec: { taints },
});
const collectorPod = podOf('collector', 'kcorder-collector-0', {
  spec: {
    nodeName: 'node-1',
    volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'kcorder-collector-data' } }],
  },
});
const podsOf =
  (...agents: object[]) =>
  ({ query }: Seen) => ({ items: query.get('labelSelector')?.includes('agent') ? agents : [collectorPod] });

let rig: ClusterRig;
beforeAll(async () => {
  rig = await startRig({ getVersion: async () => ({ version: '7' }) });
});
beforeEach(async () => {
  await rig.renew();
  Object.assign(rig.kubernetes.answers, {
    'GET /version': { gitVersion: 'v1.34.4' },
    'POST /apis/authentication.k8s.io/v1/selfsubjectreviews': { status: { userInfo: { username: 'alice' } } },
    [reviews]: { status: { allowed: true } },
    'GET /api/v1/namespaces/kcorder': { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } } },
    [sets]: daemonSet(1, 1),
    'GET /api/v1/nodes': { items: [nodeOf('node-1')] },
    [`GET ${api}/pods`]: podsOf(podOf('agent', 'kcorder-agent-x')),
    [`GET ${api}/persistentvolumeclaims`]: {
      items: [
        { metadata: { name: 'kcorder-collector-data' }, status: { phase: 'Bound', capacity: { storage: '100Gi' } } },
      ],
    },
    [`GET ${api}/events`]: { items: [] },
  });
});
afterAll(() => rig[Symbol.asyncDispose]());

test('where all is well every line says so', async () => {
  const ran = await rig.withToken('doctor');
  expect(ran.stderr).toBe('');
  expect(ran.stdout.replace(rig.kubernetes.url, 'URL')).toBe(
    `ok  kubeconfig         context lab, user alice
ok  API server         URL answers: v1.34.4; you are alice
ok  token              the kubeconfig's
ok  rights in kcorder  alice: as kcorder-admin; allowed: captures get, list, create, cancel, approve; evidence download, verify, hold, release, delete; analyses get, create, cancel, unmask; nodes list, create; schedules get, list, create, pause, trigger, delete; stores check; symbols list, find, pin, delete, download, create
ok  rights to connect  services list; pods list; configmaps/kcorder-trust get; pods/portforward get, create
ok  kcorder            Service kcorder-collector in namespace kcorder
ok  Pod Security       namespace kcorder takes privileged pods
ok  agents             kcorder-agent: 1 of 1 pods are ready
ok  nodes              each of 1 nodes has one
ok  collector          pod kcorder-collector-0 is ready
ok  trust bundle       ConfigMap kcorder-trust holds 1 certificate
ok  storage            PersistentVolumeClaim kcorder-collector-data is bound (100Gi)
ok  connection         kcorder-collector.kcorder.svc (context lab) answers: version 7
`,
  );
  expect(ran.exit).toBe(0);
});

const allowing = (allowed: (attributes: Record<string, string>) => boolean) => ({
  [reviews]: ({ body }: Seen) => ({ status: { allowed: allowed(JSON.parse(body).spec.resourceAttributes) } }),
});
const refused = { refused: 403, message: 'it is forbidden: User "alice" cannot do it' };

test.each<[string, object, RegExp, number]>([
  [
    'a responder',
    allowing(({ group, resource, verb }) =>
      group === undefined
        ? true
        : /^(captures (get|list|create|cancel)|(nodes|symbols) list|analyses (get|create|cancel)|evidence hold|schedules (get|list|trigger))$/.test(
            `${resource} ${verb}`,
          ),
    ),
    /^ok +rights in kcorder +alice: as kcorder-responder; allowed: captures get, list, create, cancel; .*; missing: captures approve; evidence download, verify, release, delete; analyses unmask; nodes create; schedules create, pause, delete; stores check; symbols find, /m,
    0,
  ],
  [
    'somebody without any right',
    allowing(({ group }) => group === undefined),
    /^fail +rights in kcorder +alice: less than kcorder-viewer; allowed: nothing; missing: .*\n +do: kubectl create clusterrolebinding kcorder-alice --clusterrole=kcorder-responder --user=alice$/m,
    1,
  ],
  [
    'somebody who may not forward ports',
    allowing(({ subresource }) => subresource !== 'portforward'),
    /^fail +rights to connect +missing in namespace kcorder: pods\/portforward get, create\n +do: kubectl -n kcorder create rolebinding kcorder-connect-alice --role=kcorder-connect --user=alice$/m,
    1,
  ],
  [
    'somebody who may forward ports of the collector alone, as by the role of the chart',
    allowing(({ subresource, name }) => subresource !== 'portforward' || name === 'kcorder-collector-0'),
    /^ok +rights to connect +.*pods\/portforward get, create$/m,
    0,
  ],
  [
    'a namespace that enforces baseline',
    { [`GET ${api}`]: { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'baseline' } } } },
    /^fail +Pod Security +namespace kcorder enforces baseline, and agents are privileged\n +do: kubectl label namespace kcorder pod-security\.kubernetes\.io\/enforce=privileged --overwrite$/m,
    1,
  ],
  [
    'a namespace without a label',
    { [`GET ${api}`]: { metadata: {} } },
    /^warn +Pod Security +namespace kcorder has no label pod-security.*\n +do: kubectl label namespace kcorder/m,
    0,
  ],
  [
    'a namespace that may not be read',
    { [`GET ${api}`]: refused },
    /^warn +Pod Security +not checked: alice may not get namespaces\/kcorder in the cluster\./m,
    0,
  ],
  [
    'no agents',
    { [sets]: { items: [] } },
    /^fail +agents +there is no DaemonSet of agents in namespace kcorder\n +do: install the chart/m,
    1,
  ],
  [
    'pods that Pod Security refuses',
    {
      [sets]: daemonSet(2, 0),
      [`GET ${api}/pods`]: podsOf(),
      [`GET ${api}/events`]: {
        items: ['a', 'b'].map((end) => ({
          metadata: {},
          involvedObject: {},
          message: `Error creating: pods "kcorder-agent-${end}" is forbidden: violates PodSecurity "baseline:latest": privileged`,
        })),
      },
    },
    /^fail +agents +kcorder-agent: 0 of 2 pods are ready: Error creating: pods are forbidden: violates PodSecurity "baseline:latest": privileged\n +do: kubectl label namespace kcorder pod-security/m,
    1,
  ],
  [
    'an agent that crashes',
    {
      [sets]: daemonSet(1, 0),
      [`GET ${api}/pods`]: podsOf(
        podOf('agent', 'kcorder-agent-x', {
          status: {
            phase: 'Running',
            containerStatuses: [
              { name: 'agent', ready: false, state: { waiting: { reason: 'CrashLoopBackOff\x1b[2J' } } },
            ],
          },
        }),
      ),
    },
    /^fail +agents +kcorder-agent: 0 of 1 pods are ready: kcorder-agent-x on node-1 is not ready: agent: CrashLoopBackOff\\x1b\[2J\n +do: kubectl -n kcorder describe daemonset kcorder-agent$/m,
    1,
  ],
  [
    'pods that are missing without a word',
    { [sets]: daemonSet(2, 1), [`GET ${api}/events`]: refused },
    /^fail +agents +kcorder-agent: 1 of 2 pods are ready: no event tells why/m,
    1,
  ],
  [
    'a DaemonSet that fits no node',
    { [sets]: daemonSet(0, 0) },
    /^warn +agents +kcorder-agent wants no pod at all/m,
    0,
  ],
  [
    'a node without an agent',
    {
      'GET /api/v1/nodes': {
        items: [nodeOf('node-1'), nodeOf('gpu-1', [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }])],
      },
    },
    /^warn +nodes +1 of 2 nodes have no agent and cannot be captured: gpu-1 \(gpu=yes:NoSchedule\)\n +do: give the agents' DaemonSet tolerations/m,
    0,
  ],
  [
    'a collector that is not ready',
    { [`GET ${api}/pods`]: () => ({ items: [podOf('collector', 'c', { status: { phase: 'Pending' } })] }) },
    /^fail +collector +the collector kcorder in namespace kcorder is not ready: c is pending\./m,
    1,
  ],
  [
    'a claim that is not bound',
    {
      [`GET ${api}/persistentvolumeclaims`]: {
        items: [{ metadata: { name: 'kcorder-collector-data' }, status: { phase: 'Pending' } }],
      },
    },
    /^fail +storage +PersistentVolumeClaim kcorder-collector-data is pending\n +do: kubectl -n kcorder describe pvc kcorder-collector-data$/m,
    1,
  ],
  [
    'no claim at all',
    {
      [`GET ${api}/pods`]: ({ query }: Seen) => ({
        items: [podOf(query.get('labelSelector')?.includes('agent') ? 'agent' : 'collector', 'kcorder-collector-0')],
      }),
    },
    /^warn +storage +the collector has no PersistentVolumeClaim/m,
    0,
  ],
  [
    'no release',
    { [`GET ${api}/services`]: { items: [] } },
    /^fail +kcorder +there is no kcorder in namespace kcorder[^\n]*\n(?!.*(?:collector|storage) )/m,
    1,
  ],
  [
    'a login that has ended',
    { 'GET /version': { refused: 401, message: 'Unauthorized' } },
    /^fail +API server +the API server .* does not know user alice of context lab: log in again.*\n$/m,
    1,
  ],
])('%s: what is wrong and what to do', async (_what, answers, expected, exit) => {
  Object.assign(rig.kubernetes.answers, answers);
  const ran = await rig.withToken('doctor');
  expect(ran.stdout).toMatch(expected);
  expect(ran.exit).toBe(exit);
});

test("a service account's rights are asked for in its name", async () => {
  const bodies: unknown[] = [];
  Object.assign(rig.kubernetes.answers, {
    'POST /api/v1/namespaces/people/serviceaccounts/bob/token': {
      status: { token: 'x', expirationTimestamp: new Date(Date.now() + 600_000).toISOString() },
    },
    'POST /apis/authorization.k8s.io/v1/subjectaccessreviews': ({ body }: Seen) => {
      bodies.push(JSON.parse(body).spec.user);
      return { status: { allowed: true } };
    },
  });
  const ran = await rig.withToken('doctor', '--service-account', 'people/bob');
  expect(ran.stdout).toContain('system:serviceaccount:people:bob: as kcorder-admin');
  expect(new Set(bodies)).toEqual(new Set(['system:serviceaccount:people:bob']));
});

test('without a kubeconfig there is one line', async () => {
  const ran = await runCommand(['doctor', '--kubeconfig', '/nowhere']);
  expect(ran.stdout).toMatch(
    /^fail {2}kubeconfig {2}the kubeconfig \/nowhere cannot be used: no such file or directory\..*\n$/,
  );
  expect(ran.exit).toBe(1);
});

test('in JSON each check has its state and what to do', async () => {
  rig.kubernetes.answers[sets] = { items: [] };
  const ran = await rig.withToken('doctor', '-o', 'json');
  expect(JSON.parse(ran.stdout)).toContainEqual({
    name: 'agents',
    state: 'fail',
    detail: 'there is no DaemonSet of agents in namespace kcorder',
    todo: expect.stringContaining('install the chart'),
  });
});

test('a collector outside of a cluster has no doctor', async () => {
  const ran = await runCommand(['doctor', '--collector', 'x:1']);
  expect(ran.stderr).toMatch(/^kcorder: doctor looks at a cluster, and --collector and --tls-dir name a collector/);
  expect(ran.exit).toBe(2);
  // As ./dev kcorder does it for the demo.
  const environment = { KCORDER_COLLECTOR: 'x:1', KCORDER_TLS_DIR: '/tls' };
  const dev = await runCommand(['doctor'], { environment });
  expect(dev.stderr).toBe(
    'kcorder: doctor looks at a cluster, and KCORDER_COLLECTOR names a collector outside of one. Unset it, or name a cluster with --context or --kubeconfig.\n',
  );
  const chosen = await runCommand(['doctor', '--kubeconfig', '/nowhere'], { environment });
  expect(chosen.stdout).toMatch(/^fail +kubeconfig/);
});
