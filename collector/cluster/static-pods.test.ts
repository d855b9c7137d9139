import { expect, test } from 'vitest';
import { tellCluster } from './events.ts';
import { placeOf } from './pods.ts';
import { configHashOf } from './static-pods.ts';
import { FakeApiServer } from './testing/api-server.ts';

const now = <T>(question: () => Promise<T>): Promise<T> => question();

const hash = '5d41402abc4b2a76b9719d911017c592';
const set = 'c0ffee00-1111-4222-8333-444455556666';
const of = (annotations?: Record<string, string>) =>
  configHashOf({ metadata: { ...(annotations && { annotations }) } });

test.each([
  ['a mirror pod', { 'kubernetes.io/config.hash': hash, 'kubernetes.io/config.mirror': hash }, hash],
  ['one whose manifest sets the uid', { 'kubernetes.io/config.hash': set, 'kubernetes.io/config.mirror': set }, set],
  ['an ordinary pod that claims a hash', { 'kubernetes.io/config.hash': hash }, undefined],
  ['a mirror of something else', { 'kubernetes.io/config.hash': hash, 'kubernetes.io/config.mirror': set }, undefined],
  ['a mirror without a hash', { 'kubernetes.io/config.mirror': hash }, undefined],
  ['a hash that is none', { 'kubernetes.io/config.hash': 'x', 'kubernetes.io/config.mirror': 'x' }, undefined],
  ['a pod without annotations', undefined, undefined],
])('the config hash of %s', (_what, annotations, expected) => {
  expect(of(annotations)).toBe(expected);
});

test('pods: a static pod has the uid that its node has for it too, one that claims such a uid has not', async () => {
  await using api = await FakeApiServer.start();
  const claim = { 'kubernetes.io/config.hash': hash };
  api.answer = (_method, path) => {
    const name = path.split('/').at(-1);
    const annotations = name === 'etcd' ? { ...claim, 'kubernetes.io/config.mirror': hash } : claim;
    const metadata = { namespace: 'shop', name, uid: 'u', annotations };
    return { metadata, spec: { nodeName: 'n1' }, status: { phase: 'Running' } };
  };
  const known = { namespace: 'shop', uid: 'u', nodeName: 'n1' };
  expect(await placeOf(api.cluster, { namespace: 'shop', name: 'etcd' }, now)).toEqual({
    ...known,
    name: 'etcd',
    configHash: hash,
  });
  expect(await placeOf(api.cluster, { namespace: 'shop', name: 'evil' }, now)).toEqual({ ...known, name: 'evil' });
});

test('an Event about a static pod is where `kubectl describe pod` looks for it: under its config hash', async () => {
  await using api = await FakeApiServer.start();
  const told: unknown[] = [];
  api.answer = (_method, _path, body) => {
    told.push((JSON.parse(body) as { involvedObject: { uid: string } }).involvedObject.uid);
    return {};
  };
  const pods = [
    { namespace: 'kube-system', name: 'etcd', uid: 'mirror', configHash: hash },
    { namespace: 'shop', name: 'web', uid: 'u-web' },
  ];
  const request = { id: 'c1', node: { name: 'n1', uid: 'u-node' }, pods };
  await tellCluster(api.cluster, { request } as never, {
    type: 'Normal',
    reason: 'MemoryCaptureStarted',
    message: 'm',
  });
  expect(told).toEqual(['u-node', hash, 'u-web']);
});
