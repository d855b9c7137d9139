import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { at, type ClusterObject, chartDir, named, readYaml, renderObjects, type Value } from './chart.ts';

const rulesText = readFileSync(join(chartDir, 'files/rules.yaml'), 'utf8');

const ruleOf = async (...set: string[]) =>
  named(await renderObjects('default-values.yaml', 'metrics.rules.enabled=true', ...set), 'PrometheusRule', 'kcorder');
const rulesIn = (groups: Value | undefined) => (groups as Value[]).flatMap((group) => at(group, 'rules') as Value[]);

describe('the PrometheusRule', () => {
  test('is what the plain file says, templates of Prometheus included', async () => {
    const [plain] = await readYaml(rulesText);
    expect(rulesIn(at(plain, 'groups')).length).toBeGreaterThan(0);
    expect((await ruleOf()).spec).toEqual(plain);
  });

  test('goes without the alerts that values leave out, and keeps every other rule', async () => {
    const all = rulesIn(at(await ruleOf(), 'spec.groups'));
    const names = all.map((rule) => at(rule, 'alert')).filter((name) => typeof name === 'string');
    const out = names.slice(0, 1);
    expect(out).toHaveLength(1);
    const left = rulesIn(at(await ruleOf(`metrics.rules.disabled[0]=${out[0]}`), 'spec.groups'));
    expect(left).toEqual(all.filter((rule) => at(rule, 'alert') !== out[0]));
  });

  test('has no group left when all its alerts are left out', async () => {
    const [plain] = await readYaml(rulesText);
    const groups = at(plain, 'groups') as Value[];
    const group = groups.find((each) =>
      (at(each, 'rules') as Value[]).every((rule) => at(rule, 'alert') !== undefined),
    );
    const names = (at(group, 'rules') as Value[]).map((rule) => at(rule, 'alert'));
    const left = at(await ruleOf(`metrics.rules.disabled={${names.join(',')}}`), 'spec.groups');
    expect(left).toEqual(groups.filter((each) => each !== group));
  });

  test('has the labels by which a Prometheus selects', async () => {
    const rule = named(await renderObjects('everything-values.yaml'), 'PrometheusRule', 'flight-recorder');
    expect(rule.metadata.labels).toMatchObject({ release: 'prometheus', 'app.kubernetes.io/name': 'kcorder' });
  });
});

test('the dashboard is the plain file, with the labels that the sidecar of Grafana looks for', async () => {
  const objects = await renderObjects('default-values.yaml', 'metrics.dashboard.enabled=true');
  const map = named(objects, 'ConfigMap', 'kcorder-dashboard');
  expect(map.metadata.labels).toMatchObject({ grafana_dashboard: '1' });
  const files = map.data as Record<string, string>;
  expect(Object.keys(files)).toEqual(['kcorder.json']);
  expect(JSON.parse(files['kcorder.json'] ?? '')).toEqual(
    JSON.parse(readFileSync(join(chartDir, 'files/dashboard.json'), 'utf8')),
  );
  const own = named(await renderObjects('everything-values.yaml'), 'ConfigMap', 'flight-recorder-dashboard');
  expect(own.metadata).toMatchObject({
    labels: { grafana_dashboard: 'kcorder' },
    annotations: { grafana_folder: 'Security' },
  });
});

test('rules, dashboard and monitors are not there unless they are asked for', async () => {
  const objects = await renderObjects('default-values.yaml');
  expect(objects.filter(({ apiVersion }) => apiVersion.startsWith('monitoring.coreos.com/'))).toEqual([]);
  expect(objects.filter(({ metadata }) => metadata.name.endsWith('-dashboard'))).toEqual([]);
});

describe('monitors', () => {
  const jobs = (objects: readonly ClusterObject[]) =>
    objects
      .filter(({ kind }) => kind === 'ServiceMonitor' || kind === 'PodMonitor')
      .map((monitor) => {
        const endpoints = (at(monitor, 'spec.endpoints') ?? at(monitor, 'spec.podMetricsEndpoints')) as Value[];
        const [first] = at(endpoints[0], 'relabelings') as Value[];
        return [monitor.kind, at(first, 'targetLabel'), at(first, 'replacement'), at(endpoints[0], 'interval')];
      });

  test('name the jobs that the alerts expect, whatever the release is called', async () => {
    expect(jobs(await renderObjects('everything-values.yaml'))).toEqual([
      ['PodMonitor', 'job', 'kcorder-agent', '15s'],
      ['ServiceMonitor', 'job', 'kcorder-collector', '15s'],
    ]);
    expect(jobs(await renderObjects('pod-monitor-values.yaml'))).toEqual([
      ['PodMonitor', 'job', 'kcorder-agent', '30s'],
      ['PodMonitor', 'job', 'kcorder-collector', '30s'],
    ]);
    const used = [...rulesText.matchAll(/\bjob=~?"([^"]+)"/g)].map(([, job]) => job);
    for (const job of used) expect(['kcorder-collector', 'kcorder-agent']).toContain(job);
  });

  test('each selects the pods or the service that have the port it names', async () => {
    const objects = await renderObjects('pod-monitor-values.yaml');
    for (const [name, workload] of [
      ['kcorder-agent', named(objects, 'DaemonSet', 'kcorder-agent')],
      ['kcorder-collector', named(objects, 'StatefulSet', 'kcorder-collector')],
    ] as const) {
      const monitor = named(objects, 'PodMonitor', name);
      const labels = at(workload, 'spec.template.metadata.labels');
      expect(labels).toMatchObject(at(monitor, 'spec.selector.matchLabels') as Record<string, Value>);
      const ports = at(workload, 'spec.template.spec.containers.0.ports') as Value[];
      expect(ports.map((port) => at(port, 'name'))).toContain(at(monitor, 'spec.podMetricsEndpoints.0.port'));
    }
  });
});
