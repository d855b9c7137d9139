import { expect, test } from 'vitest';
import type { NamedContainer } from '../capture/capture.ts';
import { withNodeContainers } from './named-containers.ts';

const id = (letter: string): string => letter.repeat(64);
const hash = '5d41402abc4b2a76b9719d911017c592';
const web = { podNamespace: 'shop', podName: 'web', podUid: 'u-web', containerName: 'app', containerId: id('a') };
const etcd = { podNamespace: 'kube-system', podName: 'etcd-cp-1', containerName: 'etcd', containerId: id('b') };
const fromApi: NamedContainer[] = [web, { ...etcd, podUid: 'u-mirror', configHash: hash }];

test.each<[string, NamedContainer]>([
  ['the same container', web],
  ['the same container of a static pod, which has its config hash for a uid', { ...etcd, podUid: hash }],
  ['the same container without its id', { ...web, containerId: '' }],
  ['the same container of a static pod without its id', { ...etcd, podUid: hash, containerId: '' }],
])('the API server names %s: it is there once', (_what, container) => {
  expect(withNodeContainers(fromApi, [container])).toEqual(fromApi);
});

test.each<[string, NamedContainer]>([
  ['an earlier instance of a container', { ...web, containerId: id('c') }],
  ['another container without its id', { ...web, containerName: 'log-shipper', containerId: '' }],
  ['a pod that the API server does not have', { ...web, podUid: 'u-gone', podName: 'gone', containerId: id('d') }],
  ["a static pod's container under another hash", { ...etcd, podUid: hash.replace('5', '6') }],
  ['a container under another pod than the API server says', { ...web, podUid: 'u-other' }],
])('the node names %s: it is kept', (_what, container) => {
  expect(withNodeContainers(fromApi, [container])).toEqual([...fromApi, container]);
});

test.each<[string, Partial<NamedContainer>]>([
  ['name', { podName: 'evil' }],
  ['namespace', { podNamespace: 'evil' }],
])(
  'the node gives a pod of the API server another %s: it is left out, so that the pod keeps its own',
  (_what, changes) => {
    const planted = { ...web, ...changes, containerId: id('e') };
    expect(withNodeContainers(fromApi, [planted, { ...planted, containerId: '' }])).toEqual(fromApi);
  },
);
