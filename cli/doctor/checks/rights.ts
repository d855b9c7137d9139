import { admin, group, roles } from '@kcorder/proto/rights/roles.ts';
import type { Api } from '../../connect/cluster/api.ts';
import { bindCommand, subject } from '../../connect/cluster/api-faults.ts';
import { connectRole } from '../../connect/cluster/release.ts';
import type { Credential } from '../../connect/target.ts';
import type { Finding } from './check.ts';

/** What the collector would allow whoever the credential speaks for. */
export async function checkRights(api: Api, credential: Credential): Promise<Finding> {
  if (credential.kind === 'token-file')
    return { state: 'warn', detail: `not checked: whose token ${credential.path} holds is for the collector to say` };
  const account =
    credential.kind === 'service-account'
      ? `system:serviceaccount:${credential.namespace}:${credential.name}`
      : undefined;
  const pairs = admin.rules.flatMap(({ resource, verbs }) => verbs.map((verb) => ({ resource, verb })));
  const answers = await Promise.all(
    pairs.map(async (pair) => ({ ...pair, allowed: await isAllowed(api, { group, ...pair }, account) })),
  );
  const held = new Set(answers.filter(({ allowed }) => allowed).map(({ resource, verb }) => `${resource} ${verb}`));
  const role = roles.findLast(({ rules }) =>
    rules.every(({ resource, verbs }) => verbs.every((verb) => held.has(`${resource} ${verb}`))),
  );
  const user = account ?? (await api.whoAmI());
  const missing = listed(answers.filter(({ allowed }) => !allowed));
  const detail = [
    `${user ?? 'you'}: ${role === undefined ? 'less than kcorder-viewer' : `as kcorder-${role.name}`}`,
    `allowed: ${listed(answers.filter(({ allowed }) => allowed)) || 'nothing'}`,
    ...(missing === '' ? [] : [`missing: ${missing}`]),
  ].join('; ');
  if (role !== undefined) return { state: 'ok', detail };
  const name = (user ?? 'USER').split(':').at(-1) ?? '';
  return {
    state: held.size === 0 ? 'fail' : 'warn',
    detail,
    todo: `kubectl create clusterrolebinding kcorder-${name.toLowerCase().replace(/[^a-z0-9.-]+/g, '-')} --clusterrole=kcorder-responder ${subject(user ?? 'USER')}`,
  };
}

/** Whether the caller gets to the collector's pod. */
export async function checkConnection(api: Api, namespace: string, fullname: string): Promise<Finding> {
  const wanted = [
    { resource: 'services', verb: 'list' },
    { resource: 'pods', verb: 'list' },
    { resource: 'configmaps', verb: 'get', name: `${fullname}-trust` },
    // The chart allows it for the collector's pod alone.
    { resource: 'pods', subresource: 'portforward', verb: 'get', name: `${fullname}-collector-0` },
    { resource: 'pods', subresource: 'portforward', verb: 'create', name: `${fullname}-collector-0` },
  ];
  const answers = await Promise.all(
    wanted.map(async (attributes) => ({
      resource: [attributes.resource, attributes.subresource ?? attributes.name ?? ''].filter(Boolean).join('/'),
      verb: attributes.verb,
      allowed: await isAllowed(api, { namespace, ...attributes }),
    })),
  );
  const missing = answers.filter(({ allowed }) => !allowed);
  if (missing.length === 0) return { state: 'ok', detail: listed(answers) };
  return {
    state: 'fail',
    detail: `missing in namespace ${namespace}: ${listed(missing)}`,
    todo: bindCommand(connectRole(fullname), namespace, (await api.whoAmI()) ?? 'USER'),
  };
}

/** Asks for the caller, or for somebody else, which takes a right of its own. */
async function isAllowed(api: Api, resourceAttributes: object, user?: string): Promise<boolean> {
  const { authorization } = api;
  if (user === undefined) {
    const asked = { verb: 'create', resource: 'selfsubjectaccessreviews', namespace: '' };
    const body = { spec: { resourceAttributes } };
    const review = await api.ask(asked, (options) => authorization.createSelfSubjectAccessReview({ body }, options));
    return review.status?.allowed === true;
  }
  const asked = { verb: 'create', resource: 'subjectaccessreviews', namespace: '' };
  const [, , namespace] = user.split(':');
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  const body = { spec: { user, groups, resourceAttributes } };
  const review = await api.ask(asked, (options) => authorization.createSubjectAccessReview({ body }, options));
  return review.status?.allowed === true;
}

/** `captures create, get; nodes list`. */
function listed(rights: readonly { readonly resource: string; readonly verb: string }[]): string {
  return [...Map.groupBy(rights, ({ resource }) => resource)]
    .map(([resource, all]) => `${resource} ${all.map(({ verb }) => verb).join(', ')}`)
    .join('; ');
}
