import { describe, expect, test } from 'vitest';
import { policy } from '../../collector/api/policy.ts';
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
  'Role connect': ['/pods,services: get,list', '/pods/portforward[collector-0]: get,create', '/configmaps[trust]: get'],
  'ClusterRole viewer': [
    ...['kcorder.dev/captures: get,list', 'kcorder.dev/nodes: list'],
    ...['kcorder.dev/schedules: get,list', 'kcorder.dev/symbols: list'],
  ],
  'ClusterRole responder': [
    ...['kcorder.dev/captures: get,list', 'kcorder.dev/nodes: list'],
    ...['kcorder.dev/schedules: get,list', 'kcorder.dev/symbols: list'],
    ...['kcorder.dev/captures: create,cancel', 'kcorder.dev/analyses: get,create,cancel'],
    ...['kcorder.dev/evidence: hold', 'kcorder.dev/schedules: trigger'],
  ],
  'ClusterRole analyst': [
    ...['kcorder.dev/captures: get,list', 'kcorder.dev/nodes: list'],
    ...['kcorder.dev/schedules: get,list', 'kcorder.dev/symbols: list'],
    ...['kcorder.dev/analyses: get,create,cancel,unmask', 'kcorder.dev/evidence: download,verify'],
    'kcorder.dev/symbols: find,create,download',
  ],
  'ClusterRole admin': [
    'kcorder.dev/captures: get,list,create,cancel,approve',
    'kcorder.dev/evidence: download,verify,hold,release,delete',
    'kcorder.dev/analyses: get,create,cancel,unmask',
    'kcorder.dev/nodes: list,create',
    'kcorder.dev/schedules: get,list,create,pause,trigger,delete',
    'kcorder.dev/stores: check',
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

test('an admin may call whatever needs a right, and no role has a right that nothing asks for', async () => {
  const asked = new Set(
    Object.values(policy).flatMap((rule) => {
      if (rule.by !== 'right') return [];
      const verbs = rule.flag === undefined ? [rule.verb] : [rule.verb, rule.flag.verb];
      return verbs.map((verb) => `${rule.resource} ${verb}`);
    }),
  );
  const roles = (await renderObjects('default-values.yaml')).filter(({ metadata }) =>
    /^kcorder-(viewer|responder|analyst|admin)$/.test(metadata.name),
  );
  expect(roles).toHaveLength(4);
  for (const role of roles) {
    const held = (role.rules as Value[]).flatMap((rule) =>
      (at(rule, 'verbs') as string[]).map((verb) => `${at(rule, 'resources.0')} ${verb}`),
    );
    for (const right of held) expect(asked, role.metadata.name).toContain(right);
    if (role.metadata.name === 'kcorder-admin') expect(held.sort()).toEqual([...asked].sort());
  }
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

test('the command line finds the collector by its labels, whatever the names', async () => {
  const service = named(await renderObjects('everything-values.yaml'), 'Service', 'flight-recorder-collector');
  expect(service.metadata.labels).toMatchObject({
    'app.kubernetes.io/name': 'kcorder',
    'app.kubernetes.io/component': 'collector',
    'app.kubernetes.io/instance': 'kcorder',
  });
});
