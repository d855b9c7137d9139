import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { makeAuthority } from '../../../tools/certificates.ts';
import { kubeconfigText, podOf, serviceOf } from '../../fixtures/cluster.ts';
import { type ClusterRig, startRig } from '../../fixtures/cluster-rig.ts';
import { runCommand } from '../../fixtures/command.ts';
import { startKubernetes } from '../../fixtures/kubernetes.ts';
import { analysisOf, captureOf, nodesOf } from '../../fixtures/lab-capture.ts';

const imageBytes = 24 << 20;
const api = '/api/v1/namespaces/kcorder';
const nodes = ['get', 'nodes'];
const acquiring = captureOf({ phase: Phase.ACQUIRING });
acquiring.outcome = undefined;

let rig: ClusterRig;
let whileWatched: (() => void) | undefined;
beforeAll(async () => {
  rig = await startRig({
    getVersion: async () => ({ version: '7' }),
    listNodes: async () => ({ nodes: nodesOf() }),
    getAnalysis: async () => analysisOf(),
    watchCapture: async function* (_request, { signal }) {
      const broken = whileWatched;
      whileWatched = undefined;
      yield { capture: broken === undefined ? captureOf() : acquiring };
      if (broken === undefined) return;
      setTimeout(broken, 100);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
    cancelCapture: () => Promise.reject(new Fault('permission_denied', 'alice may not cancel captures')),
    downloadEvidence: async function* () {
      const data = new Uint8Array(1 << 20).fill(7);
      yield { header: { size: BigInt(imageBytes), sha256: 'other', manifest: new Uint8Array(9) }, data };
      for (let offset = data.length; offset < imageBytes; offset += data.length) yield { offset: BigInt(offset), data };
    },
  });
});
beforeEach(() => rig.renew());
afterAll(() => rig[Symbol.asyncDispose]());

test('a long download arrives whole through the forwarded port', async () => {
  const file = join(rig.certificates.dir, 'forwarded.lime');
  const ran = await rig.withToken('download', 'x', '-f', file);
  expect(ran.stderr).toContain('the SHA-256 of the downloaded image of capture x is');
  expect(readFileSync(`${file}.rejected`).equals(Buffer.alloc(imageBytes, 7))).toBe(true);
});

test('a collector whose pod is replaced while it is watched is found again', async () => {
  const { kubernetes } = rig;
  whileWatched = () => {
    kubernetes.answers[`GET ${api}/pods`] = { items: [podOf('collector', 'kcorder-collector-new')] };
    kubernetes.answers[`GET ${api}/pods/kcorder-collector-new/portforward`] = {};
    kubernetes.dropForwards();
  };
  const ran = await rig.withToken('watch', '0193a5c2d7');
  expect(ran.stderr).toContain('warning: the connection to the collector broke; trying again in 1s');
  expect(ran.stdout).toContain('nc -lk');
  expect(ran.exit).toBe(0);
  expect(kubernetes.seen.at(-1)?.path).toBe(`${api}/pods/kcorder-collector-new/portforward`);
});

test('a port that nobody listens on in the pod is told in the words of the node', async () => {
  rig.kubernetes.forwardsTo = 'failed to connect to localhost:7444 inside namespace "x"\n';
  const ran = await rig.withToken(...nodes);
  expect(ran.stderr).toBe(
    'kcorder: pod kcorder-collector-0 does not take connections on port 7444: failed to connect to localhost:7444 inside namespace "x". Is KCORDER_API_LISTEN set for the collector?\n',
  );
  expect(ran.exit).toBe(1);
});

test('a connection that breaks before an answer is told without a word of client certificates', async () => {
  rig.kubernetes.forwardsTo = 1;
  const ran = await rig.withToken(...nodes);
  expect(ran.stderr).toMatch(
    /^kcorder: the connection to the collector kcorder-collector\.kcorder\.svc, forwarded through the API server, broke\./,
  );
});

test('a collector of another authority is not trusted, and gets no token', async () => {
  const { ca } = makeAuthority(join(rig.certificates.dir, 'other'));
  rig.kubernetes.answers[`GET ${api}/configmaps/kcorder-trust`] = { data: { 'ca.crt': String(ca) } };
  expect((await rig.withToken(...nodes)).stderr).toMatch(
    /^kcorder: the collector at kcorder-collector\.kcorder\.svc \(context lab\) showed a certificate that ca\.crt did not sign/,
  );
  expect(rig.tokens).toEqual([]);
});

test('a collector with the name of another namespace is not trusted either', async () => {
  const blue = '/api/v1/namespaces/blue';
  const answers = {
    [`GET ${blue}/services`]: { items: [serviceOf('kcorder-collector')] },
    [`GET ${blue}/pods`]: { items: [podOf('collector', 'c')] },
    [`GET ${blue}/pods/c/portforward`]: {},
    [`GET ${blue}/configmaps/kcorder-trust`]: { data: { 'ca.crt': String(rig.certificates.authority.ca) } },
  };
  await using elsewhere = await startKubernetes(answers, rig.kubernetes.forwardsTo);
  const path = rig.fileOf(kubeconfigText(elsewhere.url, { token: 'x' }));
  const ran = await runCommand([...nodes, '--kubeconfig', path], { environment: { KCORDER_NAMESPACE: 'blue' } });
  expect(ran.stderr).toMatch(
    /^kcorder: the collector at kcorder-collector\.blue\.svc \(context lab\) showed a certificate for another name/,
  );
  expect(rig.tokens).toEqual([]);
});

test('what the collector refuses is told in its own words', async () => {
  const ran = await rig.withToken('cancel', 'x');
  expect(ran.stderr).toBe('kcorder: alice may not cancel captures.\n');
});

test('version names the collector where a kubeconfig leads to one, and its absence is no failure', async () => {
  const environment = { KUBECONFIG: rig.kubeconfig({ token: 'secret' }) };
  expect((await runCommand(['version', '-o', 'json'], { environment })).stdout).toContain('"collector": "7"');
  rig.kubernetes.answers[`GET ${api}/services`] = { items: [] };
  const ran = await runCommand(['version'], { environment });
  expect(ran.stdout).toBe('PROGRAM  VERSION\nkcorder  0.1.0\n');
  expect(ran.stderr).toMatch(/^The version of a collector is not known: there is no kcorder in namespace kcorder/);
  expect(ran.exit).toBe(0);
  expect((await runCommand(['version', '-n', 'kcorder'], { environment })).exit).toBe(1);
});
