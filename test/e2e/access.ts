import { pathOf } from '@kcorder/proto/bridge/definition.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { describe, expect, test } from 'vitest';
import { policy } from '../../collector/api/policy.ts';
import { until } from '../../collector/testing/files.ts';
import { type ClusterStage, namespace, type PersonRole, people } from '../../tools/stage/cluster-stage.ts';
import { agentOn } from './agent-pod.ts';
import { callWith, createToken, expired, metric } from './calls.ts';

interface Run {
  readonly nodeName: string;
  readonly triggered: boolean;
  readonly state: string;
  readonly captureId: string;
}

/** The tests of who gets in, on a cluster on which the chart is installed. */
export function describeAccess(stage: () => ClusterStage): void {
  const must = (...args: string[]): Promise<string> => stage().cluster.must(args);

  describe('who gets in', () => {
    test('tokens of agents: every wrong one is refused with its reason, and one is counted for each', async () => {
      const [pod, uid] = await agentOn(stage(), 'node1');
      const bound = (name: string, id: string): string[] => [
        ...['--bound-object-kind', 'Pod', '--bound-object-name', name, '--bound-object-uid', id],
      ];
      const audience = ['--audience', 'kcorder'];
      await must(
        'run',
        'imposter',
        '-n',
        namespace,
        '--image=registry.local/kcorder-test:1',
        '--image-pull-policy=Never',
        '--overrides={"spec":{"serviceAccountName":"kcorder-agent","terminationGracePeriodSeconds":0}}',
        '--',
        'sleep',
        '3600',
      );
      await must('wait', '-n', namespace, '--for=condition=Ready', 'pod/imposter', '--timeout=120s');
      const imposterUid = await must('get', 'pod', 'imposter', '-n', namespace, '-o', 'jsonpath={.metadata.uid}');
      const good = await createToken(stage(), 'kcorder-agent', [...audience, ...bound(pod, uid)]);
      const ofImposter = await createToken(stage(), 'kcorder-agent', [...audience, ...bound('imposter', imposterUid)]);
      const before = await metric(stage(), 'kcorder_enrolments_total{result="refused"}');
      const first = await callWith(stage(), 'enrol', {
        good,
        'another pod of the service account': ofImposter,
        'bound to no pod': await createToken(stage(), 'kcorder-agent', audience),
        'another service account': await createToken(stage(), 'admin', audience),
        'another audience': await createToken(stage(), 'kcorder-agent', ['--audience', 'other', ...bound(pod, uid)]),
        'the audience of the API server': await createToken(stage(), 'kcorder-agent', bound(pod, uid)),
        expired: expired(good, stage().signingKeyPath),
        'signed by nobody': `${good.slice(0, -20)}${'A'.repeat(20)}`,
        rubbish: 'rubbish',
      });
      await must('delete', 'pod', 'imposter', '-n', namespace, '--force', '--grace-period=0');
      const second = await callWith(stage(), 'enrol', { 'a deleted pod': ofImposter });
      const told = Object.fromEntries(
        [...first, ...second].map(({ token, code, message }) => [token, `${code} ${message}`]),
      );
      expect(told.good).toBe('ok ');
      expect(told['another pod of the service account']).toMatch(/^unauthenticated .*does not belong to the DaemonSet/);
      expect(told['bound to no pod']).toMatch(/^unauthenticated .*bound to no pod/);
      expect(told['another service account']).toMatch(
        /^unauthenticated .*it is of system:serviceaccount:kcorder:admin/,
      );
      for (const name of [
        'another audience',
        'the audience of the API server',
        'expired',
        'signed by nobody',
        'rubbish',
      ])
        expect(told[name]).toMatch(/^unauthenticated .*does not vouch for it/);
      expect(told['a deleted pod']).toMatch(/^unauthenticated .*(its pod imposter is gone|does not vouch for it)/);
      expect((await metric(stage(), 'kcorder_enrolments_total{result="refused"}')) - before).toBe(9);
    });

    test('people: for every method and role the answer is what the roles of the chart say', async () => {
      const rules = await rulesOf();
      const tokens = Object.fromEntries(
        await Promise.all(
          people.map(async (role) => [role, await createToken(stage(), role, ['--audience', 'kcorder'])] as const),
        ),
      );
      const endings = await callWith(stage(), 'every-method', { ...tokens, nobody: '', rubbish: 'rubbish' });
      expect(endings).toHaveLength((people.length + 2) * Object.keys(policy).length);
      const wrong = endings.filter(({ token, path, code }) => {
        const rule = policy[path];
        if (rule?.by === 'anyone') return code === 'permission_denied';
        if (rule?.by === 'node' || !people.includes(token as PersonRole)) return code !== 'unauthenticated';
        if (rule?.by === 'person') return code !== 'ok';
        const allowed = rule !== undefined && rules[token as PersonRole]?.has(`${rule.resource} ${rule.verb}`) === true;
        return allowed === (code === 'permission_denied') || code === 'unauthenticated';
      });
      expect(wrong).toEqual([]);
      expect(endings.some(({ path }) => path === pathOf(EnrolmentService.method.enrol))).toBe(true);
    });

    test('somebody without a right is told the verb, by the command line', async () => {
      const { exitCode, stderr } = await stage().kcorder(['capture', 'node1', '--reason', 'x'], 'viewer');
      expect(exitCode).toBe(1);
      expect(stderr).toContain('may not create captures.kcorder.dev');
      // A stranger does not even reach it: the role to connect is part of the chart's bindings.
      const doctor = await stage().kcorder(['doctor'], 'responder');
      expect(doctor.stdout).toMatch(/agent/i);
    });
  });

  /** What the chart's roles allow, as the API server has them: `resource verb`. */
  async function rulesOf(): Promise<Partial<Record<PersonRole, Set<string>>>> {
    const { items } = JSON.parse(
      await must('get', 'clusterroles', '-l', 'app.kubernetes.io/name=kcorder', '-o', 'json'),
    ) as {
      items: { metadata: { name: string }; rules: { apiGroups: string[]; resources: string[]; verbs: string[] }[] }[];
    };
    const rules: Partial<Record<PersonRole, Set<string>>> = {};
    for (const role of people) {
      const found = items.find(({ metadata }) => metadata.name === `kcorder-${role}`);
      const ours = (found?.rules ?? []).filter(({ apiGroups }) => apiGroups.includes('kcorder.dev'));
      rules[role] = new Set(
        ours.flatMap(({ resources, verbs }) => resources.flatMap((r) => verbs.map((v) => `${r} ${v}`))),
      );
    }
    return rules;
  }

  test('a schedule of the chart is there, and only who may trigger it does', async () => {
    const listed = await stage().kcorder(['schedule', 'get', 'shop', '-o', 'json'], 'viewer');
    expect(listed.stdout).toContain('"configured": true');
    const refused = await stage().kcorder(['schedule', 'trigger', 'shop'], 'viewer');
    expect(refused.stderr).toContain('may not trigger schedules.kcorder.dev');
  });

  const runs = async (): Promise<Run[]> =>
    (
      JSON.parse((await stage().kcorder(['schedule', 'runs', 'shop', '-o', 'json'], 'viewer')).stdout) as {
        runs: Run[];
      }
    ).runs;

  test('triggered, it finds the nodes by labels and pods, and its run ends as its capture does', async () => {
    const { exitCode, stderr } = await stage().kcorder(['schedule', 'trigger', 'shop'], 'responder');
    expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' });
    const captureId = await until(async () => (await runs())[0]?.captureId || undefined, 2_000);
    // One that goes on to the end is in test/recorder.
    await stage().kcorder(['cancel', captureId]);
    await expect
      .poll(runs, { timeout: 240_000, interval: 2_000 })
      .toMatchObject([{ nodeName: 'node1', triggered: true, state: 'RUN_STATE_FAILED' }]);
  });
}
