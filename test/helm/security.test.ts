import { describe, expect, test } from 'vitest';
import { at, type ClusterObject, named, renderObjects, type Value, valuesFiles } from './chart.ts';
import { restrictedProfile } from './restricted-profile.ts';

const agentPod = (objects: readonly ClusterObject[], name = 'kcorder-agent') =>
  at(named(objects, 'DaemonSet', name), 'spec.template.spec');
const collectorPod = (objects: readonly ClusterObject[], name = 'kcorder-collector') =>
  at(named(objects, 'StatefulSet', name), 'spec.template.spec');
const isWorkload = ({ kind }: ClusterObject) =>
  ['DaemonSet', 'StatefulSet', 'Deployment', 'Pod', 'Job', 'CronJob', 'ReplicaSet'].includes(kind);

describe('the agent', () => {
  test('has the least privileges by default: two capabilities to read memory, one to read kernel addresses', async () => {
    const security = at(agentPod(await renderObjects('default-values.yaml')), 'containers.0.securityContext');
    expect(security).toEqual({
      privileged: false,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'], add: ['SYS_RAWIO', 'SYS_ADMIN', 'SYSLOG'] },
      seccompProfile: { type: 'RuntimeDefault' },
      appArmorProfile: { type: 'Unconfined' },
      readOnlyRootFilesystem: true,
      runAsUser: 0,
      runAsGroup: 0,
    });
  });

  test('goes without SYSLOG where symbols come from elsewhere', async () => {
    const pod = agentPod(await renderObjects('no-node-symbols-values.yaml'));
    const capabilities = at(pod, 'containers.0.securityContext.capabilities');
    expect(capabilities).toEqual({ drop: ['ALL'], add: ['SYS_RAWIO', 'SYS_ADMIN'] });
  });

  test('is privileged only when told so', async () => {
    const security = at(agentPod(await renderObjects('privileged-values.yaml')), 'containers.0.securityContext');
    expect(security).toEqual({ privileged: true, readOnlyRootFilesystem: true, runAsUser: 0, runAsGroup: 0 });
  });

  test.each(['default-values.yaml', 'privileged-values.yaml'])(
    '%s: shares nothing with its node but one file',
    async (file) => {
      const pod = agentPod(await renderObjects(file));
      for (const key of ['hostNetwork', 'hostPID', 'hostIPC', 'hostUsers', 'shareProcessNamespace', 'initContainers'])
        expect(at(pod, key), key).toBeUndefined();
      expect(at(pod, 'automountServiceAccountToken')).toBe(false);
      expect(at(pod, 'enableServiceLinks')).toBe(false);
      expect(at(pod, 'containers')).toHaveLength(1);
      expect(at(pod, 'containers.0.ports')).toBeUndefined();
      const volumes = at(pod, 'volumes') as Value[];
      const host = volumes.filter((volume) => at(volume, 'hostPath') !== undefined);
      expect(host).toEqual([{ name: 'os-release', hostPath: { path: '/etc/os-release', type: 'File' } }]);
      const writable = (at(pod, 'containers.0.volumeMounts') as Value[]).filter(
        (mount) => at(mount, 'readOnly') !== true,
      );
      expect(writable).toEqual([{ name: 'run', mountPath: '/run/kcorder' }]);
      expect(volumes[0]).toEqual({ name: 'run', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } });
    },
  );

  test('with metrics it listens on that one port, and has no more rights than without', async () => {
    const without = agentPod(await renderObjects('default-values.yaml'));
    const pod = agentPod(await renderObjects('default-values.yaml', 'metrics.agents.enabled=true'));
    const listen = { name: 'KCORDER_METRICS_LISTEN', value: '0.0.0.0:9466' };
    expect(at(pod, 'containers.0.ports')).toEqual([{ name: 'metrics', containerPort: 9466 }]);
    expect(at(pod, 'containers.0.env')).toEqual([...(at(without, 'containers.0.env') as Value[]), listen]);
    const rest = (of: Value | undefined) => {
      const { env: _env, ports: _ports, ...container } = at(of, 'containers.0') as Record<string, Value>;
      return { ...(of as Record<string, Value>), containers: [container] };
    };
    expect(rest(pod)).toEqual(rest(without));
  });

  test('runs on every node, whatever its taints, and starts before the trust bundle is there', async () => {
    const objects = await renderObjects('default-values.yaml');
    const pod = agentPod(objects);
    expect(at(pod, 'tolerations')).toEqual([{ operator: 'Exists' }]);
    expect(at(pod, 'priorityClassName')).toBe(named(objects, 'PriorityClass', 'kcorder-agent').metadata.name);
    expect((at(pod, 'volumes') as Value[])[2]).toEqual({
      name: 'trust',
      configMap: { name: 'kcorder-trust' },
    });
    expect(at(pod, 'terminationGracePeriodSeconds')).toBe(30);
  });
});

describe('the collector', () => {
  test.each(valuesFiles)('%s: satisfies the restricted profile of Pod Security, and so does the test', async (file) => {
    const objects = await renderObjects(file);
    const pods = objects
      .filter((object) => isWorkload(object) && object.kind !== 'DaemonSet')
      .map((object) => at(object, 'spec.template.spec') ?? at(object, 'spec'));
    expect(pods).toHaveLength(2);
    for (const pod of pods) {
      expect(restrictedProfile(pod)).toEqual([]);
      expect(at(pod, 'containers.0.securityContext.readOnlyRootFilesystem')).toBe(true);
      expect(at(pod, 'containers.0.securityContext.runAsUser')).toBe(65532);
    }
  });

  test('is one, and its evidence outlives the release', async () => {
    const objects = await renderObjects('default-values.yaml');
    expect(at(named(objects, 'StatefulSet', 'kcorder-collector'), 'spec.replicas')).toBe(1);
    const claim = named(objects, 'PersistentVolumeClaim', 'kcorder-collector-data');
    expect(at(claim, 'metadata.annotations')).toMatchObject({ 'helm.sh/resource-policy': 'keep' });
    expect(objects.filter(({ kind }) => kind === 'PodDisruptionBudget')).toEqual([]);
  });

  test('may take the memory of an analysis and 512 MiB, unless told otherwise', async () => {
    const limit = async (...set: string[]) =>
      at(collectorPod(await renderObjects('default-values.yaml', ...set)), 'containers.0.resources.limits');
    expect(await limit()).toEqual({ memory: '4608Mi' });
    expect(await limit('collector.analysis.memoryMiB=1024')).toEqual({ memory: '1536Mi' });
    expect(await limit('collector.resources.limits.memory=9Gi')).toEqual({ memory: '9Gi' });
  });

  test('has webhooks from a Secret, read-only and nothing else of that Secret', async () => {
    const pod = collectorPod(await renderObjects('everything-values.yaml'), 'flight-recorder-collector');
    const volume = (at(pod, 'volumes') as Value[]).find((each) => at(each, 'name') === 'webhooks');
    const items = [{ key: 'production.json', path: 'webhooks.json' }];
    expect(volume).toEqual({ name: 'webhooks', secret: { secretName: 'webhooks', defaultMode: 0o440, items } });
    expect(at(pod, 'containers.0.volumeMounts')).toContainEqual({
      name: 'webhooks',
      mountPath: '/etc/kcorder/webhooks',
      readOnly: true,
    });
  });

  test('never has its authority nor its trust bundle overwritten by an upgrade', async () => {
    for (const file of valuesFiles) {
      const kinds = (await renderObjects(file)).filter(({ metadata }) => /-(authority|trust)$/.test(metadata.name));
      expect(kinds, file).toEqual([]);
    }
  });

  test('takes its serving certificate from where tls.mode says', async () => {
    const secret = async (file: string, name?: string) => {
      const pod = collectorPod(await renderObjects(file), name);
      const env = at(pod, 'containers.0.env') as Value[];
      const volume = (at(pod, 'volumes') as Value[]).find((each) => at(each, 'name') === 'tls');
      return [
        at(
          env.find((each) => at(each, 'name') === 'KCORDER_TLS_DIR'),
          'value',
        ),
        at(volume, 'secret.secretName'),
      ];
    };
    expect(await secret('default-values.yaml')).toEqual(['', undefined]);
    expect(await secret('existing-secret-values.yaml')).toEqual(['/etc/kcorder/tls', 'kcorder-serving']);
    expect(await secret('cert-manager-values.yaml')).toEqual(['/etc/kcorder/tls', 'kcorder-collector-tls']);
    const objects = await renderObjects('cert-manager-values.yaml');
    expect(at(named(objects, 'Certificate', 'kcorder-collector'), 'spec')).toMatchObject({
      secretName: 'kcorder-collector-tls',
      issuerRef: { name: 'internal', kind: 'ClusterIssuer', group: 'cert-manager.io' },
      dnsNames: [
        'kcorder-collector.kcorder.svc',
        'kcorder-collector.kcorder.svc.cluster.local',
        'kcorder-collector.kcorder',
        'kcorder-collector',
        'kcorder.example',
      ],
    });
  });
});

test('a digest wins over a tag, and a tag over the version', async () => {
  const image = async (...set: string[]) =>
    at(agentPod(await renderObjects('default-values.yaml', ...set)), 'containers.0.image');
  const digest = `sha256:${'0'.repeat(64)}`;
  expect(await image()).toBe('localhost/kcorder-agent:0.1.0');
  expect(await image('agent.image.tag=v2')).toBe('localhost/kcorder-agent:v2');
  expect(await image('agent.image.tag=v2', `agent.image.digest=${digest}`)).toBe(`localhost/kcorder-agent@${digest}`);
});

test('no pod has a token of the API server but the collector', async () => {
  for (const file of valuesFiles) {
    for (const object of (await renderObjects(file)).filter(isWorkload)) {
      const pod = at(object, 'spec.template.spec') ?? at(object, 'spec');
      expect(at(pod, 'automountServiceAccountToken'), object.metadata.name).toBe(object.kind === 'StatefulSet');
    }
  }
});
