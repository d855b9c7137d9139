import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type PlacementSchema, ProcessSchema } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { PodContainerSchema } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import { PodReferenceSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { expect, test } from 'vitest';
import { containerGroups } from './container-groups.ts';

const id = (letter: string): string => letter.repeat(64);
const processIn = (pid: number, placement: MessageInitShape<typeof PlacementSchema>) =>
  create(ProcessSchema, { pid, placement });
const namedApp = { podNamespace: 'shop', podName: 'web', podUid: 'u1', containerName: 'app', containerId: id('a') };

const groupsOf = (...given: Parameters<typeof containerGroups>) =>
  containerGroups(...given).map(({ path, processes: held }) => [path.join(' > '), held.map(({ pid }) => pid)]);

test.each<[string, MessageInitShape<typeof PlacementSchema>, string]>([
  ['a container that the node named', namedApp, 'shop > web > app'],
  [
    'the sandbox of a named pod',
    { ...namedApp, containerName: '', containerId: id('b') },
    `shop > web > container ${'b'.repeat(12)} (sandbox or unnamed)`,
  ],
  ['a pod known by its uid alone', { podUid: 'u9', containerId: id('c') }, `pod u9 > container ${'c'.repeat(12)}`],
  ['a process in a pod but in none of its containers', { podUid: 'u9' }, 'pod u9 > outside its containers'],
])('%s', (_what, placement, path) => {
  expect(groupsOf([processIn(1, placement)], [])).toEqual([[path, [1]]]);
});

test('a container that was named but holds no process is there, empty', () => {
  expect(groupsOf([], [create(PodContainerSchema, namedApp)])).toEqual([['shop > web > app', []]]);
});

test('a process joins the container that the node named, by its id', () => {
  expect(groupsOf([processIn(4, namedApp)], [create(PodContainerSchema, namedApp)])).toEqual([
    ['shop > web > app', [4]],
  ]);
});

test('of two claims about one container the one that memory bears out is shown', () => {
  const claimed = { ...namedApp, podUid: 'u8', podName: 'other' };
  const containers = [claimed, namedApp].map((container) => create(PodContainerSchema, container));
  expect(groupsOf([processIn(4, namedApp)], containers)).toEqual([['shop > web > app', [4]]]);
});

test('a claim about a container that memory does not bear out names no process', () => {
  const claimed = create(PodContainerSchema, namedApp);
  const found = { podUid: 'u9', containerId: namedApp.containerId };
  expect(groupsOf([processIn(4, found)], [claimed])).toEqual([[`pod u9 > container ${'a'.repeat(12)}`, [4]]]);
});

test('namespaces, pods and containers come by name; what has no name comes last', () => {
  const places = [
    { podUid: 'u0', containerId: id('0') },
    { ...namedApp, podNamespace: 'zoo', podUid: 'u2', containerId: id('2') },
    { ...namedApp, containerName: '', containerId: id('3') },
    { ...namedApp, containerName: 'zip', containerId: id('4') },
    namedApp,
  ];
  expect(
    groupsOf(
      places.map((place, index) => processIn(index, place)),
      [],
    ).map(([path]) => path),
  ).toEqual([
    'shop > web > app',
    'shop > web > zip',
    `shop > web > container ${'3'.repeat(12)} (sandbox or unnamed)`,
    'zoo > web > app',
    `pod u0 > container ${'0'.repeat(12)}`,
  ]);
});

test('two pods of one name are two groups', () => {
  const again = { ...namedApp, podUid: 'u7', containerId: id('7') };
  expect(groupsOf([processIn(1, namedApp), processIn(2, again)], [])).toEqual([
    ['shop > web > app', [1]],
    ['shop > web > app', [2]],
  ]);
});

test.each([
  ['by name', { namespace: 'shop', name: 'web' }],
  ['by uid', { namespace: 'renamed', name: 'since', uid: 'u1' }],
])('the pods that somebody asked for come first, found %s', (_what, pod) => {
  const other = { podNamespace: 'demo', podName: 'beacon', podUid: 'u2', containerName: 'app', containerId: id('d') };
  const containers = [other, namedApp].map((container) => create(PodContainerSchema, container));
  expect(groupsOf([], containers, [create(PodReferenceSchema, pod)]).map(([path]) => path)).toEqual([
    'shop > web > app',
    'demo > beacon > app',
  ]);
});
