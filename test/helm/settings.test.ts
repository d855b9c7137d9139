import { describe, expect, test } from 'vitest';
import { readConfig as readAgent } from '../../agent/config.ts';
import { readConfig as readCollector } from '../../collector/config.ts';
import { at, type ClusterObject, renderObjects, type Value, valuesFiles } from './chart.ts';

/** The environment of the workload's container as the kubelet would make it. */
function environment(objects: readonly ClusterObject[], kind: 'DaemonSet' | 'StatefulSet'): Record<string, string> {
  const workload = objects.find((object) => object.kind === kind);
  const entries = at(workload, 'spec.template.spec.containers.0.env') as Value[];
  const value = (entry: Value) =>
    at(entry, 'valueFrom.fieldRef.fieldPath') === 'metadata.namespace' ? 'kcorder' : String(at(entry, 'value'));
  return Object.fromEntries(entries.map((entry) => [String(at(entry, 'name')), value(entry)]));
}

describe.each(valuesFiles)('with %s', (file) => {
  test('the collector takes its settings', async () => {
    const config = readCollector(environment(await renderObjects(file), 'StatefulSet'));
    expect(config).toMatchObject({ apiListen: '0.0.0.0:7444', authority: 'cluster', dataDir: '/var/lib/kcorder' });
    expect(config.joinTokens).toBe(file === 'everything-values.yaml');
  });

  test('the agent takes its settings', async () => {
    const inImage = { KCORDER_AVML_SHA256: '0'.repeat(64) };
    const config = readAgent({ ...inImage, ...environment(await renderObjects(file), 'DaemonSet') });
    expect(config.collector).toMatch(/-collector\.kcorder\.svc:7443$/);
  });
});

test('values arrive as what they mean', async () => {
  const config = readCollector(environment(await renderObjects('everything-values.yaml'), 'StatefulSet'));
  expect(config).toMatchObject({
    approval: true,
    joinTokens: true,
    maxCaptures: 2,
    reserveBytes: 4096 * 2 ** 20,
    stallMs: 600_000,
    orderMs: 300_000,
    analysisMemoryBytes: 8192 * 2 ** 20,
    pluginMs: 600_000,
    analysisProfile: 'deep',
    analysisMustBeConfined: true,
    symbolCacheBytes: 4096 * 2 ** 20,
    symbolDirs: ['/symbols'],
    symbolBuckets: ['https://symbols.example/kernels', 'https://more.example'],
    debuginfodUrls: ['https://debuginfod.example'],
    cosUrl: '',
    symbolsListen: '0.0.0.0:9465',
    tlsDir: '/etc/kcorder/tls',
    logLevel: 'debug',
    clusterName: 'prod europe 1',
    store: {
      kind: 'gcs',
      bucket: 'example-evidence',
      prefix: 'clusters/prod-1',
      kmsKey: 'projects/example/locations/europe-west3/keyRings/kcorder/cryptoKeys/evidence',
      endpoint: 'https://storage-kcorder.p.googleapis.com',
    },
    spoolMs: 3_600_000,
    quotaBytes: 2000 * 2 ** 30,
    nodeQuotaBytes: 400 * 2 ** 30,
    retentionMs: 365 * 86_400_000,
    verifyMs: 7 * 86_400_000,
    schedulesFile: '/etc/kcorder/schedules/schedules.json',
    webhooksFile: '/etc/kcorder/webhooks/webhooks.json',
  });
});

test('what values leave out is what the collector does without the setting', async () => {
  const set = environment(await renderObjects('default-values.yaml'), 'StatefulSet');
  const recorder = ['CLUSTER_NAME', 'STORE', 'SPOOL_SECONDS', 'QUOTA_BYTES', 'NODE_QUOTA_BYTES', 'RETENTION_DAYS'];
  const names = [...recorder, 'VERIFY_DAYS'].map((name) => `KCORDER_${name}`);
  expect(Object.keys(set)).toEqual(expect.arrayContaining(names));
  const unset = Object.fromEntries(Object.entries(set).filter(([name]) => !names.includes(name)));
  expect(readCollector(set)).toEqual(readCollector(unset));
  expect(readCollector(set)).toMatchObject({ webhooksFile: '', store: { kind: 'local' } });
});

test('agents listen where the monitor looks, and only when told so', async () => {
  const listen = async (file: string) => {
    const set = environment(await renderObjects(file), 'DaemonSet');
    return readAgent({ KCORDER_AVML_SHA256: '0'.repeat(64), ...set }).metricsListen;
  };
  expect(await listen('default-values.yaml')).toBe('');
  expect(await listen('pod-monitor-values.yaml')).toBe('0.0.0.0:9466');
});
