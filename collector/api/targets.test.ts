import { create } from '@bufbuild/protobuf';
import { ResolvePodsRequestSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { expect, test } from 'vitest';
import { type PodPlaces, podsOn, resolvePods } from './targets.ts';

const hash = '5d41402abc4b2a76b9719d911017c592';
const etcd = { namespace: 'kube-system', name: 'etcd-cp-1', uid: 'mirror', configHash: hash };
const web = { namespace: 'shop', name: 'web', uid: 'u-web' };
const places: PodPlaces = {
  placeOf: async () => ({ ...etcd, nodeName: 'cp-1' }),
  placesOf: async () => [
    { ...etcd, nodeName: 'cp-1' },
    { ...web, nodeName: 'n1' },
  ],
};

const anybody = async (): Promise<void> => undefined;

test('pods are found with both uids that a static pod has', async () => {
  const request = create(ResolvePodsRequestSchema, { target: { case: 'allInNamespace', value: 'all' } });
  const { nodes } = await resolvePods(places, request, anybody);
  expect(nodes).toEqual([
    { nodeName: 'cp-1', pods: [etcd] },
    { nodeName: 'n1', pods: [web] },
  ]);
});

test('a capture keeps both uids of a static pod, and is asked for by the one of the API server', async () => {
  const asked = { $typeName: 'kcorder.v1.PodReference', ...etcd } as const;
  expect(await podsOn(places, 'cp-1', [asked], anybody)).toEqual([etcd]);
  await expect(podsOn(places, 'cp-1', [{ ...asked, uid: hash }], anybody)).rejects.toMatchObject({
    code: 'pod_unknown',
  });
});
