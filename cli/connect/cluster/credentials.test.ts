import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { kubeconfigText } from '../../fixtures/cluster.ts';
import { type ClusterRig, startRig } from '../../fixtures/cluster-rig.ts';
import { runCommand } from '../../fixtures/command.ts';
import { analysisOf, captureOf, nodesOf } from '../../fixtures/lab-capture.ts';

const nodes = ['get', 'nodes'];
const accountPath = 'POST /api/v1/namespaces/people/serviceaccounts/alice/token';

let rig: ClusterRig;
beforeAll(async () => {
  rig = await startRig({
    listNodes: async () => ({ nodes: nodesOf() }),
    getAnalysis: async () => analysisOf(),
    watchCapture: async function* () {
      yield { capture: captureOf() };
    },
  });
});
beforeEach(() => rig.renew());
afterAll(() => rig[Symbol.asyncDispose]());

/** A kubeconfig's user with a plugin: a shell script that prints a credential. */
const plugin = (script: string) => ({
  exec: { apiVersion: 'client.authentication.k8s.io/v1', command: rig.fileOf(`#!/bin/sh\n${script}\n`, 'plugin') },
});

test.each<[string, () => object, string]>([
  ['a token', () => ({ token: 'secret' }), 'secret'],
  ['a file with a token', () => ({ token: 'old', tokenFile: rig.fileOf('from-file\n', 'token') }), 'from-file'],
  ['a plugin', () => plugin(`echo '{"status":{"token":"from-plugin"}}'`), 'from-plugin'],
  [
    'a plugin that asks what it is called for',
    () => plugin(`printf '{"status":{"token":"%s"}}' "$(printf %s "$KUBERNETES_EXEC_INFO" | base64 -w 0)"`),
    btoa('{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}}'),
  ],
])('who calls is said by %s of the kubeconfig', async (_what, userOf, expected) => {
  const ran = await runCommand([...nodes, '--kubeconfig', rig.kubeconfig(userOf())]);
  expect(ran.stderr).toBe('');
  expect(ran.stdout).toMatch(/^NAME.*\nlab-1 /);
  expect(rig.tokens).toEqual([`Bearer ${expected}`]);
  expect(rig.kubernetes.seen[0]?.authorization).toBe(`Bearer ${expected}`);
});

test('a service account is asked for a token for kcorder alone, once for all calls', async () => {
  const expirationTimestamp = new Date(Date.now() + 600_000).toISOString();
  rig.kubernetes.answers[accountPath] = { status: { token: 'of-account', expirationTimestamp } };
  const path = rig.kubeconfig({ username: 'a', password: 'b' });
  const ran = await runCommand(['watch', 'x', '--kubeconfig', path], {
    environment: { KCORDER_SERVICE_ACCOUNT: 'people/alice' },
  });
  expect(ran.exit).toBe(0);
  const asked = rig.kubernetes.seen.filter((request) => request.path.endsWith('/token'));
  expect(asked.map(({ body }) => JSON.parse(body).spec)).toEqual([{ audiences: ['kcorder'], expirationSeconds: 3600 }]);
  expect(rig.tokens).toEqual(['Bearer of-account', 'Bearer of-account', 'Bearer of-account']);
});

test('a token that is about to end is fetched again before the next call', async () => {
  let count = 0;
  rig.kubernetes.answers[accountPath] = () => {
    count += 1;
    const expirationTimestamp = new Date(Date.now() + 30_000).toISOString();
    return { status: { token: `number-${count}`, expirationTimestamp } };
  };
  await rig.withToken('watch', 'x', '--service-account', 'people/alice');
  expect(rig.tokens).toEqual(['Bearer number-2', 'Bearer number-3', 'Bearer number-4']);
});

test('--token-file says who calls the collector, the kubeconfig who calls the API server', async () => {
  const ran = await rig.withToken(...nodes, '--token-file', rig.fileOf('by-hand\n', 'token'));
  expect(ran.exit).toBe(0);
  expect(rig.tokens).toEqual(['Bearer by-hand']);
  expect(rig.kubernetes.seen[0]?.authorization).toBe('Bearer secret');
});

test('several kubeconfigs are merged as kubectl does it: what comes first counts', async () => {
  const user = { name: 'alice', user: { token: 'first' } };
  const first = rig.fileOf(JSON.stringify({ 'current-context': 'lab', users: [user] }));
  const environment = { KUBECONFIG: `/nowhere:${first}:${rig.kubeconfig({ token: 'second' })}` };
  const ran = await runCommand(nodes, { environment });
  expect(ran.stderr).toBe('');
  expect(rig.tokens).toEqual(['Bearer first']);
});

test.each<[string, () => string[], number, RegExp]>([
  [
    'a user with a certificate or a password alone',
    () => ['--kubeconfig', rig.kubeconfig({ username: 'a', password: 'b' })],
    1,
    /^kcorder: user alice of context lab has no token .* Come as a service account: `kcorder --service-account NAMESPACE\/NAME …`.*`kubectl create clusterrolebinding kcorder-alice --clusterrole=kcorder-responder --serviceaccount=kcorder:alice`\.\n$/,
  ],
  [
    'a kubeconfig without users',
    () => [
      '--kubeconfig',
      rig.fileOf(JSON.stringify({ ...JSON.parse(kubeconfigText(rig.kubernetes.url, {})), users: undefined })),
    ],
    2,
    /^kcorder: context lab names the user "alice", which the kubeconfig \/\S+\/config lacks, so nobody can sign in\. Add it under users .*--context; there are: lab\.\n$/,
  ],
  [
    'a plugin that fails',
    () => ['--kubeconfig', rig.kubeconfig(plugin('echo "log in first" >&2; exit 1'))],
    1,
    /^kcorder: user alice of context lab: its plugin .*\/plugin failed: log in first\. Log in again/,
  ],
  [
    'a plugin that is not installed',
    () => {
      const exec = { command: 'no-such-plugin', installHint: 'Install it from the shelf' };
      return ['--kubeconfig', rig.kubeconfig({ exec })];
    },
    1,
    /its plugin no-such-plugin failed: spawn no-such-plugin ENOENT\. Install it from the shelf\. Log in again/,
  ],
  [
    'a service account that is none',
    () => ['--kubeconfig', rig.kubeconfig({ token: 'x' }), '--service-account', 'people/bob'],
    1,
    /^kcorder: there is no service account bob in namespace people\. `kubectl -n people create serviceaccount bob` makes it/,
  ],
  ['a service account without its namespace', () => ['--service-account', 'bob'], 2, /"bob" is not NAMESPACE\/NAME\./],
  [
    'an empty file with a token',
    () => ['--kubeconfig', rig.kubeconfig({ token: 'x' }), '--token-file', rig.fileOf(' \n', 'token')],
    2,
    /\/config is empty|\/token is empty: it should hold a token\. Check --token-file\./,
  ],
  [
    'two sources of a token',
    () => ['--service-account', 'a/b', '--token-file', 'c'],
    2,
    /^kcorder: --service-account and --token-file each say whose token to use\. Give one of them\.\n$/,
  ],
])('%s is told in one sentence with what to do', async (_what, options, exit, expected) => {
  const ran = await runCommand([...nodes, ...options()]);
  expect(ran.stderr).toMatch(expected);
  expect(ran.stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(ran.exit).toBe(exit);
});
