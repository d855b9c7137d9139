import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { repoDir } from '../../tools/setup/cache.ts';
import { ClusterStage, namespace } from '../../tools/stage/cluster-stage.ts';
import { describeCluster, describeEnd } from '../lab/cluster.ts';
import { describeAccess } from './access.ts';
import { agentOn } from './agent-pod.ts';
import { describeCapture } from './capture.ts';

// The lab's cluster, and the chart on it as a user meets it. One cluster for all: the tests build on each other, in this order.

let stage: ClusterStage;
let failed = false;
beforeAll(async () => {
  stage = await ClusterStage.open();
});
afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail' || failed) return;
  failed = true;
  process.stderr.write(`${await stage.logs()}\n`);
});
afterAll(async () => {
  await stage?.close();
});

const must = (...args: string[]): Promise<string> => stage.cluster.must(args);

describeCluster(() => stage.cluster);

test('the API server takes every manifest as it is', async () => {
  const { stdout, exitCode } = await stage.helm([
    'template',
    // With what is looked up in the cluster: where the API server is.
    '--dry-run=server',
    'kcorder',
    join(repoDir, 'helm/kcorder'),
    '-n',
    namespace,
  ]);
  expect(exitCode).toBe(0);
  await stage.cluster.must(['apply', '--dry-run=server', '-n', namespace, '-f', '-'], { stdin: stdout });
});

test('installed with Helm: the agents of both nodes register, and a node that cannot be captured says why', async () => {
  const startMs = performance.now();
  await stage.install();
  await stage.attached(['node1', 'node2']);
  process.stderr.write(
    `from helm install until both agents were registered: ${Math.round(performance.now() - startMs)} ms\n`,
  );
  const one = await stage.kcorder(['get', 'nodes', 'node1'], 'viewer');
  expect(one.stdout).toMatch(/6\.1\.0-\d+-cloud-amd64/);
  const other = await stage.kcorder(['get', 'nodes', 'node2'], 'viewer');
  expect(other.stdout).toMatch(/has no \/proc\/kcore/);
});

test('the agent has the three capabilities that it needs and no more, no rights at the API server, and listens on nothing', async () => {
  const [pod = ''] = await agentOn(stage, 'node1');
  const inside = async (...command: string[]): Promise<string> =>
    await must('exec', '-n', namespace, pod, '--', '/usr/bin/busybox', ...command);
  const status = await inside('cat', '/proc/1/status');
  const needed = (1n << 17n) | (1n << 21n) | (1n << 34n);
  for (const set of ['CapEff', 'CapPrm', 'CapBnd']) {
    expect(BigInt(`0x${new RegExp(`^${set}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1]}`)).toBe(needed);
  }
  expect(status).toMatch(/^NoNewPrivs:\s*1$/m);
  expect(status).toMatch(/^Seccomp:\s*2$/m);
  const listening = (await inside('cat', '/proc/1/net/tcp', '/proc/1/net/tcp6'))
    .split('\n')
    .filter((line) => / 0A /.test(line));
  expect(listening).toEqual([]);
  const rights = await must(
    'auth',
    'can-i',
    '--list',
    `--as=system:serviceaccount:${namespace}:kcorder-agent`,
    '-n',
    namespace,
  );
  expect(rights).not.toMatch(/secrets|pods|nodes|kcorder\.dev/);
});

describeCapture(() => stage);
describeAccess(() => stage);

test('upgraded: evidence, authority and agents stay', async () => {
  const trust = ['get', 'configmap', 'kcorder-trust', '-n', namespace, '-o', 'jsonpath={.data}'];
  const before = await must(...trust);
  const list = (await stage.kcorder(['get', 'captures', '-o', 'json'], 'viewer')).stdout;
  await stage.install(['--set', 'maxCaptures=2']);
  await must('rollout', 'status', 'statefulset/kcorder-collector', '-n', namespace, '--timeout=180s');
  await stage.attached(['node1', 'node2']);
  expect(await must(...trust)).toBe(before);
  const ids = (text: string): string[] =>
    (JSON.parse(text) as { captures: { id: string }[] }).captures.map(({ id }) => id);
  expect(ids((await stage.kcorder(['get', 'captures', '-o', 'json'], 'viewer')).stdout)).toEqual(ids(list));
});

test('helm test says that the collector is there', async () => {
  const { exitCode, stdout, stderr } = await stage.helm(['test', 'kcorder', '-n', namespace, '--timeout', '3m']);
  expect({ exitCode, said: exitCode === 0 ? '' : stdout + stderr }).toEqual({ exitCode: 0, said: '' });
});

test('uninstalled: the evidence and the authority are left, nothing runs', async () => {
  await stage.uninstall();
  await must('wait', '-n', namespace, '--for=delete', 'pod', '-l', 'app.kubernetes.io/name=kcorder', '--timeout=120s');
  expect(await must('get', 'pvc', '-n', namespace, '-o', 'name')).toContain('kcorder-collector-data');
  expect(await must('get', 'secret', '-n', namespace, '-o', 'name')).toContain('kcorder-authority');
  expect(await must('get', 'clusterroles', '-l', 'app.kubernetes.io/name=kcorder', '-o', 'name')).toBe('');
});

test('where Pod Security refuses the agent, the notes and the doctor say which label to set; then it is as before, with all its evidence', async () => {
  await must('label', 'namespace', namespace, '--overwrite', 'pod-security.kubernetes.io/enforce=baseline');
  await stage.install();
  await must('rollout', 'status', 'statefulset/kcorder-collector', '-n', namespace, '--timeout=180s');
  const label = `kubectl label namespace ${namespace} pod-security.kubernetes.io/enforce=privileged --overwrite`;
  const notes = await stage.helm(['get', 'notes', 'kcorder', '-n', namespace]);
  expect(notes.stdout).toContain('pod-security.kubernetes.io/enforce=privileged');
  const doctor = await stage.cluster.run(process.execPath, [
    join(repoDir, 'cli/main.ts'),
    '--service-account',
    `${namespace}/admin`,
    'doctor',
  ]);
  expect(doctor.exitCode).not.toBe(0);
  expect(doctor.stdout).toContain(label);
  await stage.cluster.run('sh', ['-c', label]);
  await must('rollout', 'restart', 'daemonset/kcorder-agent', '-n', namespace);
  await stage.attached(['node1', 'node2']);
  const { stdout } = await stage.kcorder(['get', 'captures'], 'viewer');
  expect(stdout).toContain('complete');
});

describeEnd(() => stage.cluster);
