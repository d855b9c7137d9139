import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { ScheduleService } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { ClusterRig } from '../testing/cluster-rig.ts';
import { until } from '../testing/files.ts';
import { Parties } from '../testing/rig.ts';
import { turnsOfOne } from './one-at-a-time.ts';

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

test('pods are looked for by one call at a time, and of one caller few calls wait', async () => {
  await using all = await ClusterRig.start(parties, { n1: 'u1' });
  const { answer } = all.api;
  let [reading, most] = [0, 0];
  all.api.answer = (method, path, body) => {
    if (!path.endsWith('/namespaces/shop/pods/web')) return answer(method, path, body);
    reading += 1;
    most = Math.max(most, reading);
    return new Promise((resolve) =>
      setImmediate(() => {
        reading -= 1;
        resolve({ metadata: { namespace: 'shop', name: 'web', uid: 'u-web' }, spec: { nodeName: 'n1' } });
      }),
    );
  };
  const target = { case: 'pod' as const, value: { namespace: 'shop', name: 'web' } };
  const callers = ['bob', 'carol'].map((name) => all.calls(OperatorService, name));
  await Promise.all(callers.map((one) => one.getVersion({})));
  const endings = await Promise.allSettled(
    callers.flatMap((one) => Array.from({ length: turnsOfOne + 1 }, () => one.resolvePods({ target }))),
  );
  const refused = endings.filter((ending) => ending.status === 'rejected');
  expect([most, refused.length]).toEqual([1, 2]);
  for (const { reason } of refused) expect(reason).toMatchObject({ code: 'resource_exhausted', retryAfterMs: 1_000 });
});

test('a list of pods without an end keeps others waiting for one page of it, and is read until its call has ended', async () => {
  await using all = await ClusterRig.start(parties, { n1: 'u1' });
  const { answer } = all.api;
  const web = { metadata: { namespace: 'shop', name: 'web', uid: 'u-web' }, spec: { nodeName: 'n1' } };
  let pages = 0;
  all.api.answer = (method, path, body) => {
    if (path.endsWith('/namespaces/shop/pods/web')) return web;
    if (!path.endsWith('/namespaces/evil/pods')) return answer(method, path, body);
    pages += 1;
    return { kind: 'PodList', metadata: { resourceVersion: '1', continue: 'more' }, items: [] };
  };
  const reading = new AbortController();
  const mallory = all.calls(OperatorService, 'mallory');
  const endless = mallory.resolvePods(
    { target: { case: 'allInNamespace', value: 'evil' } },
    { signal: reading.signal },
  );
  await until(() => pages > 2);
  const target = { case: 'pod' as const, value: { namespace: 'shop', name: 'web' } };
  const bob = all.calls(OperatorService, 'bob');
  expect((await bob.resolvePods({ target })).nodes).toHaveLength(1);
  reading.abort(new Error('given up'));
  await expect(endless).rejects.toMatchObject({ code: 'canceled' });
  // Their next one is served when the collector knows that the first has ended.
  await mallory.resolvePods({ target });
  const read = pages;
  await bob.resolvePods({ target });
  expect(pages).toBe(read);
});

test('service accounts of one namespace take turns as one person', async () => {
  await using all = await ClusterRig.start(parties, { n1: 'u1' });
  const { answer } = all.api;
  all.api.answer = (method, path, body) =>
    path.endsWith('/namespaces/shop/pods/web') ? new Promise(() => undefined) : answer(method, path, body);
  const target = { case: 'pod' as const, value: { namespace: 'shop', name: 'web' } };
  const accounts = Array.from({ length: turnsOfOne + 1 }, (_, i) => `system:serviceaccount:evil:account-${i}`);
  await expect(
    Promise.race(accounts.map((name) => all.calls(OperatorService, name).resolvePods({ target }))),
  ).rejects.toMatchObject({ code: 'resource_exhausted', message: expect.stringContaining('serviceaccount:evil has') });
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
