import { KubeConfig } from '@kubernetes/client-node';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { until } from '../testing/files.ts';
import { Inventory } from './inventory.ts';
import type { WatchPace } from './live-watch.ts';
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
let failures: number;
let inventory: Inventory;
const follow = (pace?: WatchPace): Inventory =>
  new Inventory(
    api.cluster,
    {
      nodeGone: (name, uid) => void gone.push(`${name} ${uid}`),
      failed: () => {
        failures += 1;
      },
    },
    pace,
  );
beforeEach(async () => {
  api = await FakeApiServer.start();
  gone = [];
  failures = 0;
  inventory = follow();
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
  await until(() => failures > 0);
  api.fault = undefined;
  await until(() => inventory.nodeUid('n1') === 'u9');
  expect(gone).toEqual(['n1 u1']);
});

test('an API server that is down at the start is asked again, and until then nothing is in step', async () => {
  api.fault = { status: 503 };
  api.put('nodes', node('n1', 'u1'));
  inventory.start();
  await until(() => failures >= 2);
  expect(inventory.inStepAt).toBeUndefined();
  api.fault = undefined;
  await until(() => inventory.inStepAt !== undefined);
  expect(inventory.nodeUid('n1')).toBe('u1');
});

test('a right that is missing is a failure too, and it is asked with patience', async () => {
  api.fault = { status: 403, message: 'nodes is forbidden' };
  inventory.start();
  await until(() => failures >= 2);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(api.asked.length).toBeLessThan(12);
});

test('a static pod has its config hash, an ordinary pod that claims one has none', async () => {
  const hash = '5d41402abc4b2a76b9719d911017c592';
  const claiming = (name: string, annotations: Record<string, string>, n: number) => {
    const { metadata, ...rest } = pod(name, 'n1', `containerd://${id(n)}`);
    return { metadata: { ...metadata, annotations }, ...rest };
  };
  const claim = { 'kubernetes.io/config.hash': hash };
  api.put('pods', claiming('etcd', { ...claim, 'kubernetes.io/config.mirror': hash }, 1));
  api.put('pods', claiming('evil', claim, 2));
  inventory.start();
  await until(() => inventory.inStepAt !== undefined);
  const hashes = () => inventory.containersOn('n1').map(({ podName, configHash }) => [podName, configHash]);
  expect(hashes()).toEqual([
    ['etcd', hash],
    ['evil', undefined],
  ]);
  api.put('pods', claiming('etcd', { ...claim, 'kubernetes.io/config.mirror': hash }, 3));
  await until(() => inventory.containersOn('n1').some(({ containerId }) => containerId === id(3)));
  expect(hashes()).toEqual([
    ['etcd', hash],
    ['evil', undefined],
  ]);
});

describe('in step', () => {
  const lists = (): number => api.asked.filter((path) => !path.includes('watch=true')).length;
  const later = (moment: Date | undefined): boolean => (inventory.inStepAt?.getTime() ?? 0) > (moment?.getTime() ?? 0);

  test('a quiet watch that ends in good order shows it, without another list', async () => {
    inventory = follow({ watchSeconds: 1, silenceMs: 600_000 });
    inventory.start();
    await until(() => inventory.inStepAt !== undefined);
    const before = inventory.inStepAt;
    await until(() => later(before));
    expect(lists()).toBe(2);
    expect(failures).toBe(0);
  });

  test('bookmarks of both watches show it, those of one do not', async () => {
    inventory = follow({ watchSeconds: 3_600, silenceMs: 600_000 });
    inventory.start();
    await until(() => api.watching === 2);
    const heardOfNodes = async (uid: string): Promise<void> => {
      // Heard as soon as the node that follows it.
      api.bookmark('nodes');
      api.put('nodes', node('n1', uid));
      await until(() => inventory.nodeUid('n1') === uid);
    };
    // From here on it is the pods that are behind.
    await heardOfNodes('u1');
    const before = inventory.inStepAt;
    await heardOfNodes('u2');
    expect(inventory.inStepAt).toEqual(before);
    api.bookmark('pods');
    await until(() => later(before));
    expect(lists()).toBe(2);
  });

  test.each<[string, unknown]>([
    ['nothing of the kind', {}],
    ['an object without its metadata', { type: 'ADDED', object: {} }],
    ['the status of a proxy', { kind: 'Status', code: 500 }],
    ['a number', 5],
    ['an error', { type: 'ERROR', object: { kind: 'Status', code: 500, message: 'leader changed' } }],
  ])('a watch that answers %s does not show it, and is a failure', async (_what, answer) => {
    api.answer = () => (api.asked.at(-1)?.includes('watch=true') ? answer : undefined);
    inventory.start();
    await until(() => failures >= 2);
    const since = inventory.inStepAt?.getTime();
    await until(() => failures >= 4);
    expect(inventory.inStepAt?.getTime()).toBe(since);
  });

  test('a watch that ends before it was asked to does not show it', async () => {
    inventory.start();
    await until(() => api.watching === 2);
    const since = inventory.inStepAt?.getTime();
    const asked = api.asked.length;
    api.endWatches();
    await until(() => api.asked.length >= asked + 2);
    expect(inventory.inStepAt?.getTime()).toBe(since);
  });

  test('a watch that breaks off does not show it', async () => {
    inventory = follow({ watchSeconds: 3_600, silenceMs: 600_000 });
    inventory.start();
    await until(() => api.watching === 2);
    const before = inventory.inStepAt;
    api.fault = 'reset';
    api.breakWatches();
    await until(() => failures >= 2);
    expect(inventory.inStepAt).toEqual(before);
  });

  test('nothing but the watch itself or a list shows it: not one that works beside a frozen one', async () => {
    inventory = follow({ watchSeconds: 1, silenceMs: 2_000 });
    inventory.start();
    await until(() => api.watching === 2);
    api.frozen = true;
    api.answer = (_method, path) => (path === '/api/v1/pods' ? { status: 503 } : undefined);
    api.put('pods', pod('a', 'n1', `containerd://${id(1)}`));
    const listsOf = (kind: string): number =>
      api.asked.filter((path) => path.startsWith(`/api/v1/${kind}?limit`) && !path.includes('continue')).length;
    // The second new list of nodes comes after the first: from here on it is the pods that are behind.
    await until(() => listsOf('pods') > 1 && listsOf('nodes') > 2);
    const before = inventory.inStepAt;
    await until(() => listsOf('nodes') > 4);
    expect(inventory.inStepAt).toEqual(before);
    api.answer = () => undefined;
    await until(() => later(before));
    expect(inventory.containersOn('n1')).toHaveLength(1);
  }, 120_000);

  test('credentials that cannot be read are tried again', async () => {
    inventory = follow({ watchSeconds: 1, silenceMs: 600_000 });
    inventory.start();
    await until(() => api.watching === 2);
    const unreadable = vi
      .spyOn(KubeConfig.prototype, 'applySecurityAuthentication')
      .mockRejectedValue(new Error('gone'));
    await until(() => failures >= 2);
    unreadable.mockRestore();
    const before = inventory.inStepAt;
    await until(() => later(before));
  });
});
