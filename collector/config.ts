import { Fault } from '@kcorder/proto/fault.ts';
import { type Setting, settings, words } from './settings.ts';

/** How a collector is set up. Sizes in bytes, times in milliseconds. */
export interface Config {
  /** Mutual TLS. */
  readonly listen: string;
  /** For tokens and enrolment; empty: not offered. */
  readonly apiListen: string;
  readonly metricsListen: string;
  /** Empty: the own authority issues the certificate. */
  readonly tlsDir: string;
  readonly authority: 'none' | 'directory' | 'cluster';
  /** Names of the certificate that the own authority issues. */
  readonly serverNames: readonly string[];
  readonly cluster: ClusterConfig;
  /** True: join tokens are made and taken. `auto` is true outside of a cluster. */
  readonly joinTokens: boolean;
  /** Whether a second person has to allow each capture. */
  readonly approval: boolean;
  readonly maxCaptures: number;
  readonly dataDir: string;
  readonly store: StoreConfig;
  /** How long the plain image of an ended capture stays on the disk before it is packed and put into the store. */
  readonly spoolMs: number;
  /** Of evidence in all and of one node, reservations included; 0: no limit. */
  readonly quotaBytes: number;
  readonly nodeQuotaBytes: number;
  /** After which evidence that people asked for is deleted; 0: never. What a schedule made goes by the schedule. */
  readonly retentionMs: number;
  /** After which stored evidence is read and compared anew; 0: never. */
  readonly verifyMs: number;
  /** Schedules that are part of the configuration; empty: none. */
  readonly schedulesFile: string;
  /** Whom to tell; empty: nobody. */
  readonly webhooksFile: string;
  /** Which cluster it is, for people who look after several; may be empty. */
  readonly clusterName: string;
  readonly symbolDirs: readonly string[];
  readonly symbolCacheBytes: number;
  readonly symbolBuckets: readonly string[];
  /** Empty: not asked. */
  readonly cosUrl: string;
  readonly debuginfodUrls: readonly string[];
  /** Empty: not run. */
  readonly dwarf2json: string;
  /** Where the ISFs are offered to others; empty: nowhere. */
  readonly symbolsListen: string;
  readonly python: string;
  readonly logLevel: string;
  readonly stallMs: number;
  readonly orderMs: number;
  readonly reserveBytes: number;
  readonly analysisMemoryBytes: number;
  readonly pluginMs: number;
  /** True: an analysis fails where the kernel cannot confine it in full. */
  readonly analysisMustBeConfined: boolean;
}

/** Where evidence lies at rest. */
export interface StoreConfig {
  readonly kind: 'local' | 'gcs';
  readonly bucket: string;
  /** Before each object's name, without a slash at its end; may be empty. */
  readonly prefix: string;
  /** A key of Cloud KMS as projects/…/cryptoKeys/NAME; empty: the bucket's own default. */
  readonly kmsKey: string;
  /** Empty: Google's. http to this machine is spoken to without a login. */
  readonly endpoint: string;
}

/** Names in the cluster; empty where there is none. */
export interface ClusterConfig {
  readonly namespace: string;
  readonly authoritySecret: string;
  readonly trustConfigMap: string;
  readonly agentServiceAccount: string;
  readonly agentDaemonSet: string;
}

const dayMs = 24 * 3_600_000;
/** What Kubernetes puts into every container about a Service whose name begins with kcorder. */
const serviceLink = /_SERVICE_(HOST|PORT)|_PORT(_\d+_|$)/;

type Key = keyof typeof settings;

const clusterKeys = [
  'KCORDER_NAMESPACE',
  'KCORDER_AUTHORITY_SECRET',
  'KCORDER_TRUST_CONFIGMAP',
  'KCORDER_AGENT_SERVICE_ACCOUNT',
  'KCORDER_AGENT_DAEMONSET',
] as const;

/** Reads the environment. Throws config_invalid that names every error at once; unknown KCORDER_ names are errors. */
export function readConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  const errors: string[] = [];
  for (const key of Object.keys(environment)) {
    if (key.startsWith('KCORDER_') && !Object.hasOwn(settings, key) && !serviceLink.test(key))
      errors.push(`${key} is unknown`);
  }
  const values = {} as Record<Key, string>;
  for (const [key, setting] of Object.entries(settings) as [Key, Setting][]) {
    const value = environment[key] ?? setting.fallback ?? '';
    const error = setting.check(value);
    if (error !== undefined) errors.push(`${key}="${value}" ${error}`);
    values[key] = value;
  }
  for (const key of clusterKeys) {
    if (values.KCORDER_AUTHORITY === 'cluster' && values[key] === '')
      errors.push(`${key} is missing: KCORDER_AUTHORITY=cluster needs it`);
  }
  if (values.KCORDER_AUTHORITY === 'none' && values.KCORDER_TLS_DIR === '')
    errors.push(
      'KCORDER_TLS_DIR is empty, and there is no authority of its own: set one of KCORDER_TLS_DIR and KCORDER_AUTHORITY',
    );
  if (values.KCORDER_STORE === 'gcs' && values.KCORDER_GCS_BUCKET === '')
    errors.push('KCORDER_GCS_BUCKET is missing: KCORDER_STORE=gcs needs it');
  if (environment.NODE_TLS_REJECT_UNAUTHORIZED === '0') {
    errors.push(
      'NODE_TLS_REJECT_UNAUTHORIZED=0 switches the check of certificates off: name your authority in NODE_EXTRA_CA_CERTS',
    );
  }
  if (errors.length > 0)
    throw new Fault('config_invalid', `the environment of the collector is wrong: ${errors.join('; ')}`);
  return {
    listen: values.KCORDER_LISTEN,
    metricsListen: values.KCORDER_METRICS_LISTEN,
    apiListen: values.KCORDER_API_LISTEN,
    tlsDir: values.KCORDER_TLS_DIR,
    authority: values.KCORDER_AUTHORITY as Config['authority'],
    serverNames: values.KCORDER_SERVER_NAMES.split(','),
    cluster: {
      namespace: values.KCORDER_NAMESPACE,
      authoritySecret: values.KCORDER_AUTHORITY_SECRET,
      trustConfigMap: values.KCORDER_TRUST_CONFIGMAP,
      agentServiceAccount: values.KCORDER_AGENT_SERVICE_ACCOUNT,
      agentDaemonSet: values.KCORDER_AGENT_DAEMONSET,
    },
    joinTokens:
      values.KCORDER_JOIN_TOKENS === 'on' ||
      (values.KCORDER_JOIN_TOKENS === 'auto' && values.KCORDER_AUTHORITY !== 'cluster'),
    approval: values.KCORDER_APPROVAL === 'required',
    maxCaptures: Number(values.KCORDER_MAX_CAPTURES),
    dataDir: values.KCORDER_DATA_DIR,
    store: {
      kind: values.KCORDER_STORE as StoreConfig['kind'],
      bucket: values.KCORDER_GCS_BUCKET,
      prefix: values.KCORDER_GCS_PREFIX,
      kmsKey: values.KCORDER_GCS_KMS_KEY,
      endpoint: values.KCORDER_GCS_ENDPOINT,
    },
    spoolMs: Number(values.KCORDER_SPOOL_SECONDS) * 1000,
    quotaBytes: Number(values.KCORDER_QUOTA_BYTES),
    nodeQuotaBytes: Number(values.KCORDER_NODE_QUOTA_BYTES),
    retentionMs: Number(values.KCORDER_RETENTION_DAYS) * dayMs,
    verifyMs: Number(values.KCORDER_VERIFY_DAYS) * dayMs,
    schedulesFile: values.KCORDER_SCHEDULES_FILE,
    webhooksFile: values.KCORDER_WEBHOOKS_FILE,
    clusterName: values.KCORDER_CLUSTER_NAME,
    symbolDirs: values.KCORDER_SYMBOL_DIRS.split(':').filter((directory) => directory !== ''),
    symbolCacheBytes: Number(values.KCORDER_SYMBOL_CACHE_BYTES),
    symbolBuckets: words(values.KCORDER_SYMBOL_BUCKETS),
    cosUrl: values.KCORDER_COS_URL === 'off' ? '' : values.KCORDER_COS_URL,
    debuginfodUrls: words(values.KCORDER_DEBUGINFOD_URLS),
    dwarf2json: values.KCORDER_DWARF2JSON,
    symbolsListen: values.KCORDER_SYMBOLS_LISTEN,
    python: values.KCORDER_PYTHON,
    logLevel: values.KCORDER_LOG_LEVEL,
    stallMs: Number(values.KCORDER_STALL_SECONDS) * 1000,
    orderMs: Number(values.KCORDER_ORDER_SECONDS) * 1000,
    reserveBytes: Number(values.KCORDER_RESERVE_BYTES),
    analysisMemoryBytes: Number(values.KCORDER_ANALYSIS_MEMORY_BYTES),
    pluginMs: Number(values.KCORDER_PLUGIN_SECONDS) * 1000,
    analysisMustBeConfined: values.KCORDER_ANALYSIS_CONFINEMENT === 'required',
  };
}
