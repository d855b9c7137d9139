import { expect, test } from 'vitest';
import { readConfig } from './config.ts';

test('without any setting everything has a value', () => {
  expect(readConfig({ PATH: '/bin' })).toEqual({
    listen: '127.0.0.1:7443',
    apiListen: '',
    authority: 'none',
    serverNames: ['localhost'],
    cluster: { namespace: '', authoritySecret: '', trustConfigMap: '', agentServiceAccount: '', agentDaemonSet: '' },
    joinTokens: true,
    approval: false,
    maxCaptures: 4,
    store: { kind: 'local', bucket: '', prefix: '', kmsKey: '', endpoint: '' },
    spoolMs: 0,
    quotaBytes: 0,
    nodeQuotaBytes: 0,
    retentionMs: 0,
    verifyMs: 30 * 24 * 3_600_000,
    schedulesFile: '',
    webhooksFile: '',
    clusterName: '',
    metricsListen: '127.0.0.1:9464',
    tlsDir: '/etc/kcorder/tls',
    dataDir: '/var/lib/kcorder',
    symbolDirs: [],
    symbolCacheBytes: 8 * 2 ** 30,
    symbolBuckets: [],
    cosUrl: 'https://storage.googleapis.com/cos-tools',
    debuginfodUrls: [],
    dwarf2json: '',
    symbolsListen: '',
    python: expect.stringContaining('python3'),
    logLevel: 'info',
    stallMs: 900_000,
    orderMs: 600_000,
    reserveBytes: 2 ** 30,
    analysisMemoryBytes: 4 * 2 ** 30,
    pluginMs: 300_000,
    analysisMustBeConfined: false,
    analysisAccelerated: true,
    analysisProfile: 'standard',
    analysisWorkers: 0,
    analysisSpares: 1,
  });
});

test('settings are taken in their units', () => {
  const config = readConfig({ KCORDER_STALL_SECONDS: '60', KCORDER_SYMBOL_DIRS: '/a:/b', KCORDER_LISTEN: '[::]:7443' });
  expect(readConfig({ KCORDER_ANALYSIS_CONFINEMENT: 'required' }).analysisMustBeConfined).toBe(true);
  expect(readConfig({ KCORDER_ANALYSIS_ACCELERATED: 'false' }).analysisAccelerated).toBe(false);
  expect(readConfig({ KCORDER_ANALYSIS_PROFILE: 'deep' }).analysisProfile).toBe('deep');
  expect(() => readConfig({ KCORDER_ANALYSIS_PROFILE: 'all' })).toThrow(/quick, standard, deep/);
  expect(() => readConfig({ KCORDER_ANALYSIS_CONFINEMENT: 'off' })).toThrow(/best-effort, required/);
  expect(config).toMatchObject({ stallMs: 60_000, symbolDirs: ['/a', '/b'], listen: '[::]:7443' });
});

test.each([
  ['KCORDER_LISTEN', '7443', 'is not host:port'],
  ['KCORDER_METRICS_LISTEN', 'localhost', 'is not host:port'],
  ['KCORDER_LISTEN', 'localhost:70000', 'is not host:port'],
  ['KCORDER_TLS_DIR', 'tls', 'is not an absolute path'],
  ['KCORDER_SYMBOL_DIRS', '/a:b', 'is not a list of absolute paths'],
  ['KCORDER_LOG_LEVEL', 'loud', 'is not one of fatal, error'],
  ['KCORDER_STALL_SECONDS', '-1', 'is not a positive whole number'],
  ['KCORDER_STORE', 's3', 'is not one of local, gcs'],
  ['KCORDER_GCS_BUCKET', 'gs://bucket', 'is not the name of a bucket'],
  ['KCORDER_GCS_PREFIX', '../other', 'is not a path of letters'],
  ['KCORDER_GCS_PREFIX', 'cases/', 'is not a path of letters'],
  ['KCORDER_GCS_KMS_KEY', 'key', 'is not projects/'],
  ['KCORDER_GCS_ENDPOINT', 'http://storage.example/', 'holds http://storage.example/, which is no https URL'],
  ['KCORDER_QUOTA_BYTES', '-1', 'is not a whole number'],
  ['KCORDER_RETENTION_DAYS', '1.5', 'is not a whole number'],
  ['KCORDER_SCHEDULES_FILE', 'schedules.json', 'is not an absolute path'],
  ['KCORDER_WEBHOOKS_FILE', 'webhooks.json', 'is not an absolute path'],
  ['KCORDER_STALL_SECONDS', '0', 'is not a positive whole number'],
  ['KCORDER_ORDER_SECONDS', '1.5', 'is not a positive whole number'],
  ['KCORDER_DEBUGINFOD_URLS', 'http://debuginfod.example/', 'holds http://debuginfod.example/, which is no https URL'],
  ['KCORDER_SYMBOL_BUCKETS', 'gs://bucket', 'holds gs://bucket, which is no https URL'],
  ['KCORDER_COS_URL', 'https://user:secret@mirror.example/', 'holds https://'],
  ['KCORDER_SYMBOLS_LISTEN', '8080', 'is not host:port'],
  ['KCORDER_RESERVE_BYTES', '1GiB', 'is not a positive whole number'],
])('%s="%s" is refused: it %s', (key, value, says) => {
  const read = () => readConfig({ [key]: value });
  expect(read).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  expect(read).toThrow(`${key}="${value}" ${says}`);
});

test('a cluster needs its names, a bucket its name, and without an authority there must be certificates', () => {
  const told = (environment: Record<string, string>): string => {
    try {
      readConfig(environment);
    } catch (error) {
      return String(error);
    }
    return '';
  };
  const cluster = told({ KCORDER_AUTHORITY: 'cluster', KCORDER_NAMESPACE: 'kcorder' });
  expect(cluster).toContain('KCORDER_AUTHORITY_SECRET is missing');
  expect(cluster).toContain('KCORDER_AGENT_DAEMONSET is missing');
  expect(cluster).not.toContain('KCORDER_NAMESPACE');
  expect(told({ KCORDER_STORE: 'gcs' })).toContain('KCORDER_GCS_BUCKET is missing: KCORDER_STORE=gcs needs it');
  expect(told({ KCORDER_TLS_DIR: '' })).toContain('KCORDER_TLS_DIR is empty');
  expect(told({ KCORDER_TLS_DIR: '', KCORDER_AUTHORITY: 'directory' })).toBe('');
});

test('every error is told at once, unknown names among them', () => {
  const read = () =>
    readConfig({ KCORDER_DATADIR: '/x', KCORDER_LISTEN: 'x', KCORDER_PLUGIN_SECONDS: 'x', OTHER: 'x' });
  for (const part of ['KCORDER_DATADIR is unknown', 'KCORDER_LISTEN="x"', 'KCORDER_PLUGIN_SECONDS="x"'])
    expect(read).toThrow(part);
});

test('the check of certificates cannot be switched off', () => {
  expect(() => readConfig({ NODE_TLS_REJECT_UNAUTHORIZED: '0' })).toThrow(/NODE_EXTRA_CA_CERTS/);
});

test('COS can be left out, and places are lists with blanks between', () => {
  const config = readConfig({
    KCORDER_COS_URL: 'off',
    KCORDER_DEBUGINFOD_URLS: 'https://a.example http://127.0.0.1:8002',
  });
  expect(config).toMatchObject({ cosUrl: '', debuginfodUrls: ['https://a.example', 'http://127.0.0.1:8002'] });
});

test.each([
  { set: undefined, inCluster: false },
  { set: 'on', inCluster: true },
  { set: 'off', inCluster: false },
])('join tokens, set to $set: in a cluster $inCluster', ({ set, inCluster }) => {
  const names = ['NAMESPACE', 'AUTHORITY_SECRET', 'TRUST_CONFIGMAP', 'AGENT_SERVICE_ACCOUNT', 'AGENT_DAEMONSET'];
  const cluster = Object.fromEntries(names.map((name) => [`KCORDER_${name}`, 'kcorder']));
  const joinTokens = set === undefined ? {} : { KCORDER_JOIN_TOKENS: set };
  expect(readConfig({ KCORDER_AUTHORITY: 'cluster', ...cluster, ...joinTokens }).joinTokens).toBe(inCluster);
  expect(readConfig({ KCORDER_AUTHORITY: 'directory', ...joinTokens }).joinTokens).toBe(set !== 'off');
});
