import { expect, test } from 'vitest';
import type { PodContainerNames } from './analysis.ts';
import { ContainerNames } from './container-names.ts';

const hash = '5d41402abc4b2a76b9719d911017c592';
const id = 'e7'.repeat(32);
const sandbox = 'f8'.repeat(32);
const cgroup = (containerId: string) =>
  `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${hash}.slice/cri-containerd-${containerId}.scope`;

const etcd = { podNamespace: 'kube-system', podName: 'etcd-cp-1', containerName: 'etcd', containerId: id };
const fromApi: PodContainerNames = { ...etcd, podUid: 'c0ffee00-1111-4222-8333-444455556666', configHash: hash };
const fromNode: PodContainerNames = { ...etcd, podUid: hash };
const evil: PodContainerNames = {
  podNamespace: 'shop',
  podName: 'evil',
  podUid: 'bad00000-1111-4222-8333-444455556666',
  containerName: 'app',
  containerId: 'ba'.repeat(32),
  configHash: hash,
};

function namesIn(containers: readonly PodContainerNames[], containerId: string): string[] {
  const placement = new ContainerNames(containers).place(cgroup(containerId));
  expect(placement).toMatchObject({ podUid: hash, containerId });
  return [placement?.podNamespace ?? '?', placement?.podName ?? '?', placement?.containerName ?? '?'];
}

const whole = ['kube-system', 'etcd-cp-1', 'etcd'];
const podOnly = ['kube-system', 'etcd-cp-1', ''];
const none = ['', '', ''];

test.each<[string, PodContainerNames[], string[], string[]]>([
  ['the node alone', [fromNode], whole, podOnly],
  ['the API server alone, by the config hash', [fromApi], whole, podOnly],
  ['both', [fromApi, fromNode], whole, podOnly],
  [
    'the API server without the hash: the poorer one does not win',
    [{ ...etcd, podUid: fromApi.podUid }, fromNode],
    whole,
    podOnly,
  ],
  ['the node without the id', [{ ...fromNode, containerId: '' }], podOnly, podOnly],
  ['the API server under another uid only', [{ ...etcd, podUid: fromApi.podUid }], none, none],
  ["another pod that claims the hash, beside the node's word", [evil, fromNode], whole, podOnly],
  ['another pod that claims the hash, beside both', [evil, fromApi, fromNode], whole, podOnly],
  [
    'another pod that claims the hash, beside the API server: the id decides, else nobody',
    [evil, fromApi],
    whole,
    none,
  ],
  ['another pod that claims hash and id: nobody', [{ ...evil, containerId: id }, fromApi], none, none],
  [
    "another pod that claims hash and id, beside the node's word",
    [{ ...evil, containerId: id }, fromNode],
    whole,
    podOnly,
  ],
  ['two pods under one uid', [fromNode, { ...fromNode, podName: 'evil', containerId: evil.containerId }], whole, none],
])('a static pod named by %s', (_what, containers, ofContainer, ofSandbox) => {
  for (const order of [containers, containers.toReversed()]) {
    expect(namesIn(order, id)).toEqual(ofContainer);
    expect(namesIn(order, sandbox)).toEqual(ofSandbox);
  }
});

test('a VM in a cgroup that names no container has the names of its pod, whatever has no id', () => {
  const path = `/kubepods/burstable/pod${hash}/kata_${sandbox}`;
  expect(new ContainerNames([{ ...fromNode, containerId: '' }]).place(path)).toMatchObject({
    ...{ podUid: hash, containerId: '', podNamespace: 'kube-system', podName: 'etcd-cp-1', containerName: '' },
  });
  expect(new ContainerNames([]).place(path)).toMatchObject({ podUid: hash, containerId: '', podName: '' });
});
