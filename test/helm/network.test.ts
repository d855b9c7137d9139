import { describe, expect, test } from 'vitest';
import { at, type ClusterObject, chartDir, helm, named, readYaml, renderObjects, type Value } from './chart.ts';
import { serveNamespace } from './namespace-server.ts';

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
    for (const rule of at(closed, 'spec.egress') as Value[]) expect(at(rule, 'to'), JSON.stringify(rule)).toBeDefined();
    const open = await policy('everything-values.yaml', 'flight-recorder-collector');
    expect(ports(at(open, 'spec.ingress'))).toEqual([[7443, 7444], [7444, 9464], [7444], [9464], [9465]]);
    expect(ports(at(open, 'spec.egress'))).toEqual([[53, 53], [6443], [443], [443, 8443], [80], [988], [8080]]);
    for (const rule of [...(at(open, 'spec.ingress') as Value[]), ...(at(open, 'spec.egress') as Value[])])
      expect(at(rule, 'from') ?? at(rule, 'to'), JSON.stringify(rule)).toBeDefined();
  });
});

describe('network policies of the recorder', () => {
  const rules = async (name: string, way: 'ingress' | 'egress', file: string, ...set: string[]) => {
    const policy = named(await renderObjects(file, ...set), 'NetworkPolicy', name);
    return (at(policy, `spec.${way}`) as Value[]).slice(way === 'egress' ? 2 : 0);
  };

  test('with a bucket the collector gets out to it and to the metadata server for its login, and without one it does not', async () => {
    expect(await rules('kcorder-collector', 'egress', 'default-values.yaml')).toEqual([]);
    expect(await rules('kcorder-collector', 'egress', 'bucket-values.yaml')).toEqual([
      { to: [{ ipBlock: { cidr: '0.0.0.0/0' } }], ports: [{ port: 443, protocol: 'TCP' }] },
      { to: [{ ipBlock: { cidr: '169.254.169.254/32' } }], ports: [{ port: 80, protocol: 'TCP' }] },
      { to: [{ ipBlock: { cidr: '169.254.169.252/32' } }], ports: [{ port: 988, protocol: 'TCP' }] },
    ]);
  });

  test('the way to webhooks is open only where there are webhooks and values say where', async () => {
    const peer = 'networkPolicy.webhooksTo[0].ipBlock.cidr=192.0.2.1/32';
    const secret = 'notifications.existingSecret=webhooks';
    for (const set of [peer, secret])
      expect(await rules('kcorder-collector', 'egress', 'default-values.yaml', set)).toEqual([]);
    expect(await rules('kcorder-collector', 'egress', 'default-values.yaml', peer, secret)).toEqual([
      { to: [{ ipBlock: { cidr: '192.0.2.1/32' } }], ports: [{ port: 443, protocol: 'TCP' }] },
    ]);
  });

  test('an agent is reached for its metrics only where it has some and values say by whom', async () => {
    const peer = 'networkPolicy.metricsFrom[0].ipBlock.cidr=192.0.2.1/32';
    expect(await rules('kcorder-agent', 'ingress', 'default-values.yaml', peer)).toEqual([]);
    expect(await rules('kcorder-agent', 'ingress', 'default-values.yaml', 'metrics.agents.enabled=true')).toEqual([]);
    const both = await rules('kcorder-agent', 'ingress', 'default-values.yaml', peer, 'metrics.agents.enabled=true');
    expect(both).toEqual([{ from: [{ ipBlock: { cidr: '192.0.2.1/32' } }], ports: [{ port: 9466, protocol: 'TCP' }] }]);
  });
});

describe.each([3, 4] as const)('Helm %i and the way to the API server', (major) => {
  const slicePath = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes';
  const servicePath = '/api/v1/namespaces/default/services/kubernetes';
  const object = (apiVersion: string, kind: string) => ({ apiVersion, kind, metadata: { name: 'kubernetes' } });
  const slice = {
    ...object('discovery.k8s.io/v1', 'EndpointSlice'),
    addressType: 'IPv4',
    endpoints: [{ addresses: ['192.0.2.10'] }, { addresses: ['192.0.2.11'] }],
    ports: [{ name: 'https', port: 6443, protocol: 'TCP' }],
  };
  const service = {
    ...object('v1', 'Service'),
    spec: { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1', 'fd00::1'], ports: [{ port: 443 }] },
  };
  const command = 'kubectl get endpointslices kubernetes --namespace default';

  /** What an installation without `apiServerTo` would make of a cluster with these objects. */
  async function install(others: Record<string, unknown>): Promise<string> {
    const objects = await renderObjects('default-values.yaml');
    await using server = await serveNamespace('kcorder', {}, objects, others);
    return await helm(
      major,
      ...['install', 'kcorder', chartDir, '--namespace', 'kcorder', '--dry-run=server'],
      ...['--disable-openapi-validation', '--kube-apiserver', server.url],
    );
  }

  test('is looked up in the cluster', async () => {
    const printed = await install({ [slicePath]: slice, [servicePath]: service });
    const manifests = printed.slice(printed.indexOf('\n---\n'), printed.indexOf('\nNOTES:\n'));
    const policy = named((await readYaml(manifests)) as ClusterObject[], 'NetworkPolicy', 'kcorder-collector');
    expect((at(policy, 'spec.egress') as Value[]).slice(1)).toEqual([
      {
        to: [{ ipBlock: { cidr: '192.0.2.10/32' } }, { ipBlock: { cidr: '192.0.2.11/32' } }],
        ports: [{ port: 6443, protocol: 'TCP' }],
      },
      {
        to: [{ ipBlock: { cidr: '10.96.0.1/32' } }, { ipBlock: { cidr: 'fd00::1/128' } }],
        ports: [{ port: 443, protocol: 'TCP' }],
      },
    ]);
  });

  test('fails with the command where it cannot be looked up', async () => {
    await expect(install({})).rejects.toThrow(command);
    await expect(install({ [slicePath]: 403 })).rejects.toThrow(command);
    await expect(helm(major, 'template', 'kcorder', chartDir)).rejects.toThrow(command);
    await helm(major, 'template', 'kcorder', chartDir, '--set', 'networkPolicy.enabled=false');
  });
});
