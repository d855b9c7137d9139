import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { ScheduleService } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { ClusterRig } from '../testing/cluster-rig.ts';
import { Parties } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const noTarget = { nodeNames: [], nodeLabels: '', podNamespaces: [], podLabels: '' };
const spec = { nodeName: 'n1', reason: 'a test', idempotencyKey: 'key' };

test('where pods run is told to whoever may list them there', async () => {
  await using all = await ClusterRig.start(parties, { n1: 'u1' });
  await all.agent(await all.enrol('n1')).attach();
  all.allows = ({ resourceAttributes: { group, resource, namespace } }) =>
    group === 'kcorder.dev' || (resource === 'pods' && namespace === 'shop');
  const operator = all.calls(OperatorService, 'bob');
  const refused = { code: 'permission_denied', message: expect.stringContaining('bob may not list pods') };
  const pod = (namespace: string) => ({ case: 'pod' as const, value: { namespace, name: 'web' } });
  for (const target of [
    pod('bank'),
    { case: 'allInNamespace' as const, value: 'bank' },
    { case: 'selector' as const, value: { namespace: '', labels: 'app=web' } },
  ])
    await expect(operator.resolvePods({ target })).rejects.toMatchObject(refused);
  const pods = [{ namespace: 'bank', name: 'web', uid: '' }];
  await expect(operator.createCapture({ ...spec, pods })).rejects.toMatchObject(refused);
  // With the right, the API server's answer is that there is no such pod.
  await expect(operator.resolvePods({ target: pod('shop') })).rejects.toMatchObject({ code: 'pod_unknown' });
  const asked = all.asked.flatMap(({ resourceAttributes: one }) => (one.resource === 'pods' ? [one] : []));
  expect(asked).toEqual([
    ...Array(2).fill({ resource: 'pods', verb: 'list', namespace: 'bank' }),
    { resource: 'pods', verb: 'list' },
    { resource: 'pods', verb: 'list', namespace: 'bank' },
    { resource: 'pods', verb: 'list', namespace: 'shop' },
  ]);
  expect(all.api.asked.filter((path) => path.includes('/namespaces/bank/'))).toEqual([]);
});

test('a schedule whose runs tell where pods are is made by whoever may list them', async () => {
  await using all = await ClusterRig.start(parties, { n1: 'u1' });
  all.allows = ({ resourceAttributes: { group, namespace } }) => group === 'kcorder.dev' || namespace === 'shop';
  const schedules = all.calls(ScheduleService, 'bob');
  const make = (name: string, target: { podNamespaces?: string[]; podLabels?: string; nodeNames?: string[] }) =>
    schedules.createSchedule({ spec: { name, cron: '0 3 * * *', target: { ...noTarget, ...target } } });
  const refused = { code: 'permission_denied', message: expect.stringContaining('bob may not list pods') };
  await expect(make('one', { podNamespaces: ['shop', 'bank'] })).rejects.toMatchObject(refused);
  await expect(make('two', { podLabels: 'app=web' })).rejects.toMatchObject(refused);
  await make('three', { podNamespaces: ['shop'], podLabels: 'app=web' });
  await make('four', { nodeNames: ['n1'] });
});

test('an error of the API server that led to a refusal is in the log, and not told to the caller', async () => {
  await using all = await ClusterRig.start(parties, { n1: 'u1' });
  const { answer } = all.api;
  all.api.answer = (method, path, body) => {
    if (path.endsWith('/tokenreviews') && body.includes('"mallory"'))
      return { status: { authenticated: false, error: 'the webhook is away' } };
    if (path.endsWith('/subjectaccessreviews')) return { status: { allowed: false, evaluationError: 'no authorizer' } };
    return answer(method, path, body);
  };
  const refused = { message: expect.not.stringMatching(/webhook|authorizer/) };
  await expect(all.calls(OperatorService, 'mallory').listNodes({})).rejects.toMatchObject(refused);
  await expect(all.calls(OperatorService, 'bob').listNodes({})).rejects.toMatchObject(refused);
  const logged = JSON.stringify(all.rig.logged);
  expect(logged).toContain('the API server: the webhook is away');
  expect(logged).toContain('the API server: no authorizer');
});
