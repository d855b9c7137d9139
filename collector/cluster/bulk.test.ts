import { expect, test } from 'vitest';
import { withoutBulk } from './bulk.ts';

const hash = '5d41402abc4b2a76b9719d911017c592';
const kept = {
  metadata: {
    ...{ name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '7', creationTimestamp: '2026-01-01T00:00:00Z' },
    annotations: { 'kubernetes.io/config.hash': hash, 'kubernetes.io/config.mirror': hash },
    ownerReferences: [{ kind: 'DaemonSet', name: 'agent', uid: 'd1', controller: true }],
  },
  spec: { nodeName: 'n1', serviceAccountName: 'agent' },
  status: { phase: 'Running', containerStatuses: [{ name: 'c', containerID: `containerd://${'0'.repeat(64)}` }] },
};
const whole = {
  metadata: {
    ...kept.metadata,
    labels: { app: 'web' },
    annotations: { ...kept.metadata.annotations, note: 'x'.repeat(1_000) },
    ownerReferences: [{ kind: 'Other', uid: 'o1' }, ...kept.metadata.ownerReferences],
  },
  spec: { ...kept.spec, containers: [{ name: 'c', env: Array(1_000).fill({ name: 'E' }) }] },
  status: { ...kept.status, images: Array(1_000).fill({ names: ['i'] }) },
};

test('of a list of pods is left what is read of each, with the size of the answer', () => {
  const text = JSON.stringify({ kind: 'PodList', metadata: { continue: 'more' }, items: [whole] });
  expect(JSON.parse(withoutBulk(text))).toEqual({
    kind: 'PodList',
    metadata: { continue: 'more', selfLink: String(text.length) },
    items: [kept],
  });
});

test('of one pod is left what is read of it', () => {
  expect(JSON.parse(withoutBulk(JSON.stringify({ kind: 'Pod', ...whole })))).toEqual({ kind: 'Pod', ...kept });
});

test.each(['{"kind":"Secret","data":{"a":"b"}}', '{"kind":"Status","code":404}', 'no JSON', '[]', '1'])(
  '%s stays as it is',
  (text) => {
    expect(withoutBulk(text)).toBe(text);
  },
);

test.each(['{"items":[null,1,"a",[]]}', '{"kind":"Pod","metadata":1,"spec":null,"status":[]}'])(
  '%s has nothing that is read',
  (text) => {
    expect(JSON.parse(withoutBulk(text))).toBeDefined();
  },
);
