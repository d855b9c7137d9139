import { create } from '@bufbuild/protobuf';
import { ResolvePodsRequestSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { expect, test } from 'vitest';
import { type PodPlaces, type PodReading, podsOn, resolvePods } from './targets.ts';

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

const anybody: PodReading = { mayList: async () => undefined, asked: (question) => question() };

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

test('each pod of a capture is named once, and read one after the other', async () => {
  let [reading, most] = [0, 0];
  const slow: PodPlaces = {
    ...places,
    placeOf: async ({ namespace, name }) => {
      reading += 1;
      most = Math.max(most, reading);
      await new Promise((resolve) => setImmediate(resolve));
      reading -= 1;
      return { namespace, name, uid: `u-${name}`, nodeName: 'n1' };
    },
  };
  const asked = (name: string) => ({ $typeName: 'kcorder.v1.PodReference', ...web, name, uid: '' }) as const;
  const found = await podsOn(slow, 'n1', ['a', 'b', 'c'].map(asked), anybody);
  expect(found.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  expect(most).toBe(1);
  await expect(podsOn(slow, 'n1', ['a', 'a'].map(asked), anybody)).rejects.toMatchObject({
    code: 'invalid_argument',
    message: 'pod shop/a is named twice: name each pod once',
  });
});

test('a name that no pod or namespace has is refused before anything is asked', async () => {
  const asked: string[] = [];
  const asking: PodReading = { ...anybody, mayList: async (namespace) => void asked.push(namespace) };
  const refused = { code: 'invalid_argument', message: expect.stringMatching(/^"\.\." is not /) };
  const targets = [
    { case: 'pod' as const, value: { namespace: '..', name: 'web' } },
    { case: 'pod' as const, value: { namespace: 'shop', name: '..' } },
    { case: 'selector' as const, value: { namespace: '..', labels: 'app=web' } },
    { case: 'allInNamespace' as const, value: '..' },
  ];
  for (const target of targets)
    await expect(resolvePods(places, create(ResolvePodsRequestSchema, { target }), asking)).rejects.toMatchObject(
      refused,
    );
  const pod = { $typeName: 'kcorder.v1.PodReference', namespace: 'shop', name: '..', uid: '' } as const;
  await expect(podsOn(places, 'n1', [pod], asking)).rejects.toMatchObject(refused);
  expect(asked).toEqual([]);
});
