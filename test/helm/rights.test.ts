import { describe, expect, test } from 'vitest';
import { at, type ClusterObject, named, renderObjects, type Value, valuesFiles } from './chart.ts';

/** Every rule of every role, as "group/resource[names]: verbs". A right that is not here is a right too many. */
const allowed: Record<string, string[]> = {
  'ClusterRole collector': [
    '/nodes,pods: get,list,watch',
    'authentication.k8s.io/tokenreviews: create',
    'authorization.k8s.io/subjectaccessreviews: create',
    '/events: create',
  ],
  'Role collector': [
    '/secrets: create',
    '/secrets[authority]: get,update',
    '/configmaps: create',
    '/configmaps[trust]: get,update',
    'apps/daemonsets[agent]: get',
  ],
  'Role connect': ['/pods,services: get,list', '/pods/portforward: get,create', '/configmaps[trust]: get'],
  'ClusterRole viewer': ['kcorder.dev/captures: get,list', 'kcorder.dev/nodes: list', 'kcorder.dev/symbols: list'],
  'ClusterRole responder': [
    ...['kcorder.dev/captures: get,list', 'kcorder.dev/nodes: list', 'kcorder.dev/symbols: list'],
    ...['kcorder.dev/captures: create,cancel', 'kcorder.dev/analyses: get'],
  ],
  'ClusterRole analyst': [
    ...['kcorder.dev/captures: get,list', 'kcorder.dev/nodes: list', 'kcorder.dev/symbols: list'],
    ...['kcorder.dev/analyses: get', 'kcorder.dev/evidence: download', 'kcorder.dev/symbols: find,create,download'],
  ],
  'ClusterRole admin': [
    'kcorder.dev/captures: get,list,create,cancel,approve',
    'kcorder.dev/evidence: download',
    'kcorder.dev/analyses: get',
    'kcorder.dev/nodes: list,create',
    'kcorder.dev/symbols: list,find,pin,delete,download,create',
  ],
};

const short = (name: string) => name.replace(/^(kcorder|flight-recorder)-/, '');

function rules(role: ClusterObject): string[] {
  return (role.rules as Value[]).map((rule) => {
    const list = (key: string) => ((at(rule, key) ?? []) as string[]).map(short).join(',');
    const names = list('resourceNames');
    return `${list('apiGroups')}/${list('resources')}${names && `[${names}]`}: ${list('verbs')}`;
  });
}

test.each(valuesFiles)('%s: every right is on the list', async (file) => {
  const roles = (await renderObjects(file)).filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole');
  const found = Object.fromEntries(roles.map((role) => [`${role.kind} ${short(role.metadata.name)}`, rules(role)]));
  expect(found).toEqual(allowed);
});

describe('bindings', () => {
  const bindings = async (file: string) =>
    (await renderObjects(file))
      .filter(({ kind }) => kind.endsWith('Binding'))
      .map((binding) => [
        `${binding.kind} ${binding.metadata.name}`,
        at(binding, 'roleRef.name'),
        ...((binding.subjects ?? []) as Value[]).map((subject) => `${at(subject, 'kind')} ${at(subject, 'name')}`),
      ]);

  test('by default only the collector has rights', async () => {
    expect(await bindings('default-values.yaml')).toEqual([
      ['ClusterRoleBinding kcorder-collector', 'kcorder-collector', 'ServiceAccount kcorder-collector'],
      ['RoleBinding kcorder-collector', 'kcorder-collector', 'ServiceAccount kcorder-collector'],
    ]);
  });

  test('who has a role may also reach the collector, each once', async () => {
    const own = 'flight-recorder';
    const people = (await bindings('everything-values.yaml')).filter(([name]) => !String(name).endsWith('-collector'));
    const [bot, alice] = ['ServiceAccount responder', 'User alice@example.com'];
    expect(people).toEqual([
      [`ClusterRoleBinding ${own}-admin`, 'kcorder-admin', alice, bot],
      [`ClusterRoleBinding ${own}-responder`, 'kcorder-responder', 'Group on-call', alice],
      [`ClusterRoleBinding ${own}-viewer`, 'kcorder-viewer', 'Group sre'],
      [`RoleBinding ${own}-connect`, `${own}-connect`, 'Group sre', 'Group on-call', alice, bot],
    ]);
  });
});

describe('network policies', () => {
  const ports = (rules: Value | undefined) =>
    ((rules ?? []) as Value[]).map((rule) => ((at(rule, 'ports') ?? []) as Value[]).map((port) => at(port, 'port')));

  test('every pod of the release is selected, for both ways', async () => {
    const objects = await renderObjects('default-values.yaml');
    const policies = objects.filter(({ kind }) => kind === 'NetworkPolicy');
    for (const policy of policies) expect(at(policy, 'spec.policyTypes')).toEqual(['Ingress', 'Egress']);
    const pods = [
      at(named(objects, 'DaemonSet', 'kcorder-agent'), 'spec.template.metadata.labels'),
      at(named(objects, 'StatefulSet', 'kcorder-collector'), 'spec.template.metadata.labels'),
      at(named(objects, 'Pod', 'kcorder-test'), 'metadata.labels'),
    ];
    const selects = (policy: ClusterObject) =>
      pods.map((labels) =>
        Object.entries(at(policy, 'spec.podSelector.matchLabels') as Record<string, Value>).every(
          ([key, value]) => (labels as Record<string, Value>)[key] === value,
        ),
      );
    expect(Object.fromEntries(policies.map((policy) => [policy.metadata.name, selects(policy)]))).toEqual({
      'kcorder-default-deny': [true, true, true],
      'kcorder-agent': [true, false, false],
      'kcorder-collector': [false, true, false],
      'kcorder-test': [false, false, true],
    });
  });

  test('an agent reaches the collector and DNS, and nobody reaches it', async () => {
    const policy = named(await renderObjects('default-values.yaml'), 'NetworkPolicy', 'kcorder-agent');
    expect(at(policy, 'spec.ingress')).toEqual([]);
    expect(ports(at(policy, 'spec.egress'))).toEqual([
      [7443, 7444],
      [53, 53],
    ]);
    expect(at(policy, 'spec.egress.0.to')).toEqual([
      {
        podSelector: {
          matchLabels: {
            'app.kubernetes.io/name': 'kcorder',
            'app.kubernetes.io/instance': 'kcorder',
            'app.kubernetes.io/component': 'collector',
          },
        },
      },
    ]);
  });

  test('the collector is reached by agents and by the test, and by others only where values say so', async () => {
    const policy = async (file: string, name: string) => named(await renderObjects(file), 'NetworkPolicy', name);
    const closed = await policy('default-values.yaml', 'kcorder-collector');
    expect(ports(at(closed, 'spec.ingress'))).toEqual([
      [7443, 7444],
      [7444, 9464],
    ]);
    expect(ports(at(closed, 'spec.egress'))).toEqual([
      [53, 53],
      [443, 6443],
    ]);
    const open = await policy('everything-values.yaml', 'flight-recorder-collector');
    expect(ports(at(open, 'spec.ingress'))).toEqual([[7443, 7444], [7444, 9464], [7444], [9464], [9465]]);
    expect(ports(at(open, 'spec.egress'))).toEqual([[53, 53], [6443], [443]]);
    for (const rule of [...(at(open, 'spec.ingress') as Value[]), ...(at(open, 'spec.egress') as Value[])])
      expect(at(rule, 'from') ?? at(rule, 'to'), JSON.stringify(rule)).toBeDefined();
  });
});

test('the command line finds the collector by its labels, whatever the names', async () => {
  const service = named(await renderObjects('everything-values.yaml'), 'Service', 'flight-recorder-collector');
  expect(service.metadata.labels).toMatchObject({
    'app.kubernetes.io/name': 'kcorder',
    'app.kubernetes.io/component': 'collector',
    'app.kubernetes.io/instance': 'kcorder',
  });
});
