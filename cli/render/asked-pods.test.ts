import { create } from '@bufbuild/protobuf';
import { PodReferenceSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { expect, test } from 'vitest';
import { analysisOf } from '../fixtures/lab-capture.ts';
import { isInPods, podsWithoutTrace } from './asked-pods.ts';

const hash = '5d41402abc4b2a76b9719d911017c592';
const named = { podNamespace: 'kube-system', podName: 'etcd-cp-1', podUid: hash };
const etcd = create(PodReferenceSchema, {
  namespace: 'kube-system',
  name: 'etcd-cp-1',
  uid: 'c0ffee00-1111-4222-8333-444455556666',
  configHash: hash,
});

test.each([
  ['a static pod by its name, under the uid that the node has', named, true],
  ['a static pod by its config hash, when nobody named it', { podNamespace: '', podName: '', podUid: hash }, true],
  ['a pod by its uid', { podNamespace: '', podName: '', podUid: etcd.uid }, true],
  ['another pod whose uid the hash is', { ...named, podName: 'vault' }, false],
  ['another pod without a name', { podNamespace: '', podName: '', podUid: hash.replace('5', '6') }, false],
])('%s', (_what, place, expected) => {
  expect(isInPods(place, [etcd])).toBe(expected);
});

test('a pod without a hash is not every pod without a uid', () => {
  const pod = create(PodReferenceSchema, { namespace: 'shop', name: 'web' });
  expect(isInPods({ podNamespace: '', podName: '', podUid: '' }, [pod])).toBe(false);
});

test('a static pod leaves a trace by its processes alone', () => {
  const analysis = analysisOf();
  const [process] = analysis.processes.filter(({ placement }) => placement !== undefined);
  if (process?.placement === undefined) throw new Error('the fixture has no process in a pod');
  expect(podsWithoutTrace(analysis, [etcd])).toEqual([etcd]);
  Object.assign(process.placement, { podNamespace: '', podName: '', podUid: hash });
  expect(podsWithoutTrace(analysis, [etcd])).toEqual([]);
});
