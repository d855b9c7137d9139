import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { forwardPath, kubeconfigText, podOf, serviceOf } from '../../fixtures/cluster.ts';
import { type ClusterRig, startRig } from '../../fixtures/cluster-rig.ts';
import { runCommand } from '../../fixtures/command.ts';

const api = '/api/v1/namespaces/kcorder';
const nodes = ['get', 'nodes'];

let rig: ClusterRig;
/** Where nobody listens any more. */
let closed: string;
beforeAll(async () => {
  rig = await startRig({});
  closed = rig.kubernetes.url;
});
beforeEach(() => rig.renew());
afterAll(() => rig[Symbol.asyncDispose]());

const refused = (status: number, message: string) => ({ refused: status, message });
const forbidden = (what: string) => refused(403, `${what} is forbidden: User "alice" cannot do it`);
const collectorPod = (status: object) => ({ items: [podOf('collector', 'c-0', { status })] });

test.each<[string, () => string[], number, RegExp]>([
  [
    'a kubeconfig that is missing',
    () => ['--kubeconfig', '/nowhere/config'],
    2,
    /^kcorder: the kubeconfig \/nowhere\/config cannot be used: no such file or directory\./,
  ],
  [
    'a kubeconfig that is no YAML',
    () => ['--kubeconfig', rig.fileOf('clusters: [}')],
    2,
    /^kcorder: the kubeconfig .* cannot be used: .+\. Mend it, or name another/,
  ],
  [
    'a kubeconfig without a server',
    () => ['--kubeconfig', rig.fileOf('clusters: [{name: a, cluster: {}}]')],
    2,
    /cannot be used: clusters\[0\]\.cluster\.server is missing\./,
  ],
  ['an empty kubeconfig', () => ['--kubeconfig', rig.fileOf('')], 2, /cannot be used: .*empty\. Mend it/],
  [
    'an unknown context',
    () => ['--kubeconfig', rig.kubeconfig({ token: 'x' }), '--context', 'prod'],
    2,
    /has no context "prod"\. Choose one with --context; there are: lab\.\n$/,
  ],
  [
    'a kubeconfig without a current context',
    () => ['--kubeconfig', rig.fileOf('contexts: [{name: a, context: {cluster: b}}]')],
    2,
    /names no current context\. Choose one with --context; there are: a\.\n$/,
  ],
  [
    'a context without its cluster',
    () => ['--kubeconfig', rig.fileOf('contexts: [{name: a, context: {cluster: b}}]'), '--context', 'a'],
    2,
    /context a names the cluster "b", which the kubeconfig lacks\./,
  ],
  [
    'an API server that is away',
    () => ['--kubeconfig', rig.fileOf(kubeconfigText(closed, { token: 'x' }))],
    1,
    /^kcorder: the API server http:\/\/127\.0\.0\.1:\d+ of context lab refused the connection\. Is the cluster running, and is this the right --context\?\n$/,
  ],
  [
    'an API server without a name',
    () => ['--kubeconfig', rig.fileOf(kubeconfigText('https://nowhere.invalid', { token: 'x' }))],
    1,
    /^kcorder: the API server https:\/\/nowhere\.invalid of context lab cannot be found: its name does not resolve\./,
  ],
  [
    'an API server without TLS',
    () => ['--kubeconfig', rig.fileOf(kubeconfigText(rig.kubernetes.url.replace('http', 'https'), { token: 'x' }))],
    1,
    /of context lab does not speak TLS there\./,
  ],
  [
    'options of both ways',
    () => ['--context', 'lab', '--collector', 'x:1'],
    2,
    /^kcorder: --context finds the collector in a cluster, --collector and --tls-dir name it\. Give the one or the other\.\n$/,
  ],
])('%s is told in one sentence with what to do', async (_what, options, exit, expected) => {
  const ran = await runCommand([...nodes, ...options()]);
  expect(ran.stderr).toMatch(expected);
  expect(ran.stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(ran.exit).toBe(exit);
});

test.each<[string, Record<string, object>, RegExp]>([
  [
    'services that may not be listed',
    { [`GET ${api}/services`]: forbidden('services') },
    /^kcorder: alice may not list services in namespace kcorder\. An administrator allows it: `kubectl -n kcorder create rolebinding kcorder-connect-alice --role=kcorder-connect --user=alice`\.\n$/,
  ],
  [
    'the same for a service account',
    { [`GET ${api}/services`]: refused(403, 'User "system:serviceaccount:ci:bot" cannot list resource "services"') },
    /--role=kcorder-connect --serviceaccount=ci:bot`\.\n$/,
  ],
  [
    'a hostile user name',
    { [`GET ${api}/services`]: refused(403, 'User "\x1b[2J$(reboot)\'" cannot list') },
    /^kcorder: \\x1b\[2J\$\(reboot\)' may not list .* --user='\\x1b\[2J\$\(reboot\)'\\'''`\.\n$/,
  ],
  [
    'pods that may not be listed',
    { [`GET ${api}/pods`]: forbidden('pods') },
    /alice may not list pods in namespace kcorder\. .*--role=kcorder-connect --user=alice`/,
  ],
  [
    'a trust bundle that may not be read',
    { [`GET ${api}/configmaps/kcorder-trust`]: forbidden('configmaps') },
    /alice may not get configmaps\/kcorder-trust in namespace kcorder\./,
  ],
  [
    'ports that may not be forwarded',
    {
      [forwardPath]: refused(403, ''),
      'POST /apis/authentication.k8s.io/v1/selfsubjectreviews': { status: { userInfo: { username: 'alice' } } },
    },
    /alice may not get and create pods\/portforward in namespace kcorder\. .*--role=kcorder-connect --user=alice`/,
  ],
  [
    'a pod that went in that moment',
    { [forwardPath]: refused(404, '') },
    /could not get and create pods\/portforward: pod kcorder-collector-0: status 404\./,
  ],
  [
    'a login that has ended',
    { [`GET ${api}/services`]: refused(401, 'Unauthorized') },
    /the API server http:.* does not know user alice of context lab: log in again, or choose another --context\./,
  ],
  [
    'a namespace without kcorder',
    { [`GET ${api}/services`]: { items: [] } },
    /there is no kcorder in namespace kcorder of context lab: no Service with the labels .*\. Name its namespace with -n or KCORDER_NAMESPACE;/,
  ],
  [
    'several releases',
    { [`GET ${api}/services`]: { items: [serviceOf('a-collector', 'red'), serviceOf('b-collector', 'blue')] } },
    /namespace kcorder holds 2 releases of kcorder: red, blue\. Choose one with --release\./,
  ],
  [
    'no pod',
    { [`GET ${api}/pods`]: { items: [] } },
    /the collector kcorder in namespace kcorder has no pod \(labels .*\)\. `kcorder doctor -n kcorder` tells more/,
  ],
  [
    'a pod that crashes',
    {
      [`GET ${api}/pods`]: collectorPod({
        phase: 'Running',
        containerStatuses: [
          { name: 'collector', ready: false, state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } } },
        ],
      }),
    },
    /is not ready: c-0 is not ready: collector: CrashLoopBackOff: back-off\./,
  ],
  [
    'a pod that finds no node',
    {
      [`GET ${api}/pods`]: collectorPod({
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes fit' }],
      }),
    },
    /is not ready: c-0 is pending: Unschedulable: 0\/3 nodes fit\./,
  ],
  [
    'a missing trust bundle',
    { [`GET ${api}/configmaps/kcorder-trust`]: refused(404, 'not found') },
    /the ConfigMap kcorder-trust in namespace kcorder is missing: .* `kubectl -n kcorder logs -l/,
  ],
  [
    'a trust bundle without a certificate',
    { [`GET ${api}/configmaps/kcorder-trust`]: { data: {} } },
    /the ConfigMap kcorder-trust in namespace kcorder has no certificate in ca\.crt/,
  ],
  [
    'an API server that fails',
    { [`GET ${api}/services`]: refused(500, 'etcd is\naway\x07') },
    /could not list services: etcd is\\naway\\x07\./,
  ],
])('%s: the error says what to do', async (_what, answers, expected) => {
  Object.assign(rig.kubernetes.answers, answers);
  const ran = await rig.withToken(...nodes);
  expect(ran.stderr).toMatch(expected);
  expect(ran.stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(ran.exit).toBe(1 + Number(/several|--release/.test(ran.stderr)));
});

test('an interrupted wait for the API server ends at once', async () => {
  const interrupt = new AbortController();
  rig.kubernetes.answers[`GET ${api}/services`] = () => {
    interrupt.abort();
    return { items: [] };
  };
  const ran = await runCommand([...nodes, '--kubeconfig', rig.kubeconfig({ token: 'x' })], {
    interrupt: interrupt.signal,
  });
  expect(ran).toEqual({ exit: 130, stdout: '', stderr: 'kcorder: interrupted.\n' });
});

test.each([
  ['KCORDER_COLLECTOR leads straight to it', [], /^kcorder: no certificates are given/],
  ['a cluster option on the command line goes before it', ['--context', 'lab'], /^kcorder: there is no kubeconfig/],
])('%s', async (_what, options, expected) => {
  const ran = await runCommand([...nodes, ...options], { environment: { KCORDER_COLLECTOR: 'x:1' } });
  expect(ran.stderr).toMatch(expected);
});

test('without a word of a collector and without a kubeconfig the ways are named', async () => {
  const ran = await runCommand(nodes, { environment: { HOME: '/nowhere' } });
  expect(ran.stderr).toBe(
    'kcorder: there is no kubeconfig (looked for /nowhere/.kube/config), and no collector is given. Set --kubeconfig or KUBECONFIG; a collector outside of Kubernetes is named by --collector and --tls-dir.\n',
  );
  expect(ran.exit).toBe(2);
});
