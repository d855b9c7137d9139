import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { Inventory } from './inventory.ts';
import { FakeApiServer } from './testing/api-server.ts';

const id = (n: number): string => String(n).repeat(64).slice(0, 64);
const node = (name: string, uid: string) => ({ metadata: { name, uid } });
const pod = (name: string, nodeName: string, containerId: string) => ({
  metadata: { name, namespace: 'shop', uid: `uid-${name}`, annotations: { large: 'x'.repeat(1000) } },
  spec: { nodeName, containers: [{ name: 'web', image: 'web:1', env: [{ name: 'SECRET', value: 'hush' }] }] },
  status: {
    phase: 'Running',
    containerStatuses: [
      { name: 'web', containerID: containerId, image: 'web:1', imageID: '', ready: true, restartCount: 0 },
    ],
  },
});

let api: FakeApiServer;
let gone: string[];
let troubles: number;
let inventory: Inventory;
beforeEach(async () => {
  api = await FakeApiServer.start();
  gone = [];
  troubles = 0;
  inventory = new Inventory(api.cluster, {
    nodeGone: (name, uid) => void gone.push(`${name} ${uid}`),
    trouble: () => {
      troubles += 1;
    },
  });
});
afterEach(async () => {
  inventory.stop();
  await api[Symbol.asyncDispose]();
});

test('nodes and containers by list, then by watch; nothing is kept of a pod but what is needed', async () => {
  api.put('nodes', node('n1', 'u1'));
  api.put('pods', pod('a', 'n1', `containerd://${id(1)}`));
  inventory.start();
  await until(() => inventory.inStepAt !== undefined);
  expect(inventory.nodeUid('n1')).toBe('u1');
  expect(inventory.containersOn('n1')).toEqual([
    { podNamespace: 'shop', podName: 'a', podUid: 'uid-a', containerName: 'web', containerId: id(1) },
  ]);
  api.put('pods', pod('b', 'n1', `cri-o://${id(2)}`));
  await until(() => inventory.containersOn('n1').length === 2);
  api.put('pods', pod('c', 'n1', 'containerd://short'));
  api.put('pods', pod('d', 'n2', `containerd://${id(3)}`));
  await until(() => inventory.containersOn('n2').length === 1);
  expect(inventory.containersOn('n1')).toHaveLength(2);
  expect(JSON.stringify([...Object.values(inventory)])).not.toContain('hush');
});

test('a node that is deleted, and one that is made again under its name, is told by its uid', async () => {
  api.put('nodes', node('n1', 'u1'));
  api.put('nodes', node('n2', 'u2'));
  inventory.start();
  await until(() => inventory.inStepAt !== undefined);
  api.remove('nodes', 'n1');
  await until(() => gone.length === 1);
  api.put('nodes', node('n2', 'u3'));
  await until(() => gone.length === 2);
  expect(gone).toEqual(['n1 u1', 'n2 u2']);
  expect(inventory.nodeUid('n2')).toBe('u3');
});

test('what happened while the watch was broken is found by the next list', async () => {
  api.put('nodes', node('n1', 'u1'));
  inventory.start();
  await until(() => inventory.inStepAt !== undefined);
  api.fault = 'reset';
  api.breakWatches();
  api.remove('nodes', 'n1');
  api.put('nodes', node('n1', 'u9'));
  await until(() => troubles > 0);
  api.fault = undefined;
  await until(() => inventory.nodeUid('n1') === 'u9');
  expect(gone).toEqual(['n1 u1']);
});

test('an API server that is down at the start is asked again, and until then nothing is in step', async () => {
  api.fault = { status: 503 };
  api.put('nodes', node('n1', 'u1'));
  inventory.start();
  await until(() => troubles >= 2);
  expect(inventory.inStepAt).toBeUndefined();
  api.fault = undefined;
  await until(() => inventory.inStepAt !== undefined);
  expect(inventory.nodeUid('n1')).toBe('u1');
});

test('a right that is missing is trouble too, and it is asked with patience', async () => {
  api.fault = { status: 403, message: 'nodes is forbidden' };
  inventory.start();
  await until(() => troubles >= 2);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(api.asked.length).toBeLessThan(12);
});
