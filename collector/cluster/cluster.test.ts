import { afterEach, beforeEach, expect, test } from 'vitest';
import { Authority } from '../identity/authority.ts';
import { checkAgentToken } from './agent-tokens.ts';
import { SecretStore } from './authority-secret.ts';
import { noticeOf } from './events.ts';
import { placeOf, placesOf } from './pods.ts';
import { FakeApiServer } from './testing/api-server.ts';

const now = <T>(question: () => Promise<T>): Promise<T> => question();

// Faults and answers that a real API server gives too seldom; its ordinary ones are in test/e2e.

let api: FakeApiServer;
beforeEach(async () => {
  api = await FakeApiServer.start();
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

const agents = { namespace: 'kcorder', serviceAccount: 'kcorder-agent', daemonSet: 'kcorder-agent' };

/** What a good API server says of a good agent. */
const good = {
  status: {
    authenticated: true,
    audiences: ['kcorder'],
    user: {
      username: 'system:serviceaccount:kcorder:kcorder-agent',
      extra: {
        'authentication.kubernetes.io/pod-name': ['agent-x'],
        'authentication.kubernetes.io/pod-uid': ['pod-1'],
        'authentication.kubernetes.io/node-name': ['n1'],
        'authentication.kubernetes.io/node-uid': ['node-1'],
      },
    },
  },
  pod: {
    metadata: {
      name: 'agent-x',
      uid: 'pod-1',
      ownerReferences: [{ kind: 'DaemonSet', name: 'kcorder-agent', uid: 'set-1', controller: true }],
    },
    spec: { serviceAccountName: 'kcorder-agent', nodeName: 'n1' },
  },
  node: { metadata: { name: 'n1', uid: 'node-1' } },
  daemonSet: { metadata: { name: 'kcorder-agent', uid: 'set-1' } },
};
type Good = typeof good;

function answers(change: (all: Good & Record<string, unknown>) => void = () => undefined): void {
  const all = structuredClone(good) as Good & Record<string, unknown>;
  change(all);
  api.answer = (_method, path) => {
    if (path.endsWith('/tokenreviews')) return { kind: 'TokenReview', status: all.status };
    if (path.endsWith('/pods/agent-x')) return all.pod;
    if (path.endsWith('/nodes/n1')) return all.node;
    if (path.endsWith('/daemonsets/kcorder-agent')) return all.daemonSet;
    return undefined;
  };
}

test('a good token gives the node that the API server knows', async () => {
  answers();
  expect(await checkAgentToken(api.cluster, agents, 'token')).toEqual({
    node: { name: 'n1', uid: 'node-1' },
    shownBy: { pod: 'agent-x', podUid: 'pod-1' },
    holder: 'pod/pod-1',
  });
});

const none = undefined as never;

test('a pod that is older than its node is of a machine that was deleted, where the token does not say its node', async () => {
  const made = (podAt: string, nodeAt: string) =>
    answers((all) => {
      all.status.user.extra['authentication.kubernetes.io/node-uid'] = none;
      all.pod = { ...all.pod, metadata: { ...all.pod.metadata, creationTimestamp: podAt } } as never;
      all.node = { metadata: { ...all.node.metadata, creationTimestamp: nodeAt } } as never;
    });
  made('2030-01-01T00:00:00Z', '2030-01-01T01:00:00Z');
  await expect(checkAgentToken(api.cluster, agents, 'token')).rejects.toMatchObject({
    code: 'unauthenticated',
    message: expect.stringContaining('is older than its node n1'),
  });
  made('2030-01-01T01:00:00Z', '2030-01-01T00:00:00Z');
  expect(await checkAgentToken(api.cluster, agents, 'token')).toMatchObject({ node: { name: 'n1', uid: 'node-1' } });
});

test('why the API server does not vouch for a token is kept for the records, and not told to whoever shows it', async () => {
  const error = '[invalid bearer token, service account token has expired]';
  answers(({ status }) => Object.assign(status, { authenticated: false, error }));
  await expect(checkAgentToken(api.cluster, agents, 'token')).rejects.toMatchObject({
    message: expect.not.stringContaining(error),
    cause: expect.objectContaining({ message: `the API server: ${error}` }),
  });
});

test.each<{ sentence: string; change: (all: Good & Record<string, unknown>) => void; says: string }>([
  {
    sentence: 'not authenticated',
    change: ({ status }) => {
      status.authenticated = false;
    },
    says: 'does not vouch',
  },
  {
    sentence: 'an authenticator that knows no audiences',
    change: ({ status }) => {
      status.audiences = [];
    },
    says: 'not made for the audience kcorder',
  },
  {
    sentence: 'another audience',
    change: ({ status }) => {
      status.audiences = ['api'];
    },
    says: 'not made for the audience kcorder',
  },
  {
    sentence: 'another service account',
    change: ({ status }) => {
      status.user.username = 'system:serviceaccount:other:kcorder-agent';
    },
    says: 'it is of system:serviceaccount:other',
  },
  {
    sentence: 'bound to no pod',
    change: ({ status }) => {
      status.user.extra['authentication.kubernetes.io/pod-uid'] = none;
    },
    says: 'bound to no pod',
  },
  {
    sentence: 'a pod that was made again',
    change: ({ pod }) => {
      pod.metadata.uid = 'pod-2';
    },
    says: 'is gone',
  },
  {
    sentence: 'a pod that is gone',
    change: (all) => {
      all.pod = { status: 404 } as never;
    },
    says: 'is gone',
  },
  {
    sentence: 'a pod that is being deleted',
    change: ({ pod }) => {
      Object.assign(pod.metadata, { deletionTimestamp: '2026-01-01T00:00:00Z' });
    },
    says: 'is being deleted',
  },
  {
    sentence: 'a pod of another service account',
    change: ({ pod }) => {
      pod.spec.serviceAccountName = 'default';
    },
    says: 'has the service account default',
  },
  {
    sentence: 'a pod of another DaemonSet of the name',
    change: ({ pod }) => {
      Object.assign(pod.metadata.ownerReferences[0] ?? {}, { uid: 'set-0' });
    },
    says: 'does not belong to the DaemonSet',
  },
  {
    sentence: 'a pod that claims an owner that does not control it',
    change: ({ pod }) => {
      Object.assign(pod.metadata.ownerReferences[0] ?? {}, { controller: false });
    },
    says: 'does not belong to the DaemonSet',
  },
  {
    sentence: 'no DaemonSet at all',
    change: (all) => {
      all.daemonSet = { status: 404 } as never;
    },
    says: 'does not belong to the DaemonSet',
  },
  {
    sentence: 'a pod without a node',
    change: ({ pod }) => {
      pod.spec.nodeName = none;
    },
    says: 'has no node yet',
  },
  {
    sentence: 'a pod on another node than the token says',
    change: ({ pod }) => {
      pod.spec.nodeName = 'n9';
    },
    says: 'runs on node n9, the token was made for n1',
  },
  {
    sentence: 'a node that is gone',
    change: (all) => {
      all.node = { status: 404 } as never;
    },
    says: 'is not there any more',
  },
  {
    sentence: 'a node that was made again',
    change: ({ node }) => {
      node.metadata.uid = 'node-2';
    },
    says: 'was deleted and made again',
  },
])('a token with $sentence is refused', async ({ change, says }) => {
  answers(change);
  await expect(checkAgentToken(api.cluster, agents, 'token')).rejects.toMatchObject({
    code: 'unauthenticated',
    message: expect.stringContaining(says),
  });
});

test('pods: where one runs, and why one runs nowhere', async () => {
  api.answer = (_method, path) => {
    const metadata = { namespace: 'shop', name: path.split('/').at(-1), uid: 'u' };
    if (path.endsWith('/web')) return { metadata, spec: { nodeName: 'n1' }, status: { phase: 'Running' } };
    if (path.endsWith('/pending')) return { metadata, spec: {}, status: { phase: 'Pending' } };
    if (path.endsWith('/over')) return { metadata, spec: { nodeName: 'n1' }, status: { phase: 'Succeeded' } };
    return undefined;
  };
  const place = (name: string) => placeOf(api.cluster, { namespace: 'shop', name }, now);
  expect(await place('web')).toEqual({ namespace: 'shop', name: 'web', uid: 'u', nodeName: 'n1' });
  await expect(place('pending')).rejects.toMatchObject({
    message: expect.stringContaining('runs on no node (Pending)'),
  });
  await expect(place('over')).rejects.toMatchObject({
    message: expect.stringContaining('runs on no node (Succeeded)'),
  });
  await expect(place('nothing')).rejects.toMatchObject({ code: 'pod_unknown' });
  await expect(placesOf(api.cluster, 'shop', 'app=x', now))
    .rejects.toMatchObject({ code: 'cluster_unavailable' })
    .catch(() => undefined);
});

test('the authority in a Secret: made once, never overwritten by who has not read it, and a foreign text is refused', async () => {
  let secret: { metadata: { resourceVersion: string }; data: Record<string, string> } | undefined;
  let config: { metadata: object; data: Record<string, string> } | undefined;
  api.answer = (method, path, body) => {
    const given = body === '' ? undefined : (JSON.parse(body) as typeof secret & typeof config);
    if (path.includes('/secrets')) {
      if (method === 'GET') return secret ?? { status: 404 };
      const known = secret?.metadata.resourceVersion;
      if (method === 'POST' ? known !== undefined : given?.metadata.resourceVersion !== known) return { status: 409 };
      secret = {
        metadata: { ...given?.metadata, resourceVersion: String(Number(known ?? 0) + 1) },
        data: given?.data ?? {},
      };
      return secret;
    }
    if (method === 'GET') return config ?? { status: 404 };
    config = { metadata: given?.metadata ?? {}, data: given?.data ?? {} };
    return config;
  };
  const store = () =>
    new SecretStore(api.cluster, { namespace: 'kcorder', secret: 'kcorder-authority', configMap: 'kcorder-trust' });
  const [one, other] = await Promise.all([Authority.open(store()), Authority.open(store())]);
  expect(one.bundle).toBe(other.bundle);
  expect(config?.data['ca.crt']).toBe(one.bundle);
  expect(JSON.stringify(config)).not.toContain('PRIVATE');
  secret = { metadata: { resourceVersion: '9' }, data: { 'authority.json': Buffer.from('{}').toString('base64') } };
  await expect(one.turn()).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('secret kcorder/kcorder-authority cannot be understood: restore it'),
  });
});

test('a notice for the beginning and each ending, none between', () => {
  const request = { id: 'c1', requestedBy: 'user/alice' };
  const of = (state: object) => noticeOf({ request, state } as never)?.reason;
  expect(of({ phase: 'requested' })).toBeUndefined();
  expect(of({ phase: 'acquiring', attempt: 1 })).toBe('MemoryCaptureStarted');
  expect(of({ phase: 'acquiring', attempt: 2 })).toBeUndefined();
  expect(of({ phase: 'sealing', outcome: { kind: 'complete' } })).toBeUndefined();
  expect(of({ phase: 'sealed', outcome: { kind: 'complete' }, evidence: {} })).toBe('MemoryCaptureComplete');
  expect(of({ phase: 'sealed', outcome: { kind: 'partial', reason: 'x' }, evidence: {} })).toBe('MemoryCapturePartial');
  expect(of({ phase: 'analyzing', outcome: { kind: 'complete' } })).toBeUndefined();
  expect(of({ phase: 'done', outcome: { kind: 'complete' }, evidence: {} })).toBeUndefined();
  expect(of({ phase: 'done', outcome: { kind: 'failed', reason: 'x' } })).toBe('MemoryCaptureFailed');
});
