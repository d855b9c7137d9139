import { isAbsolute } from 'node:path';

const levels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/** One setting. */
export interface Setting {
  readonly fallback?: string;
  readonly check: (value: string) => string | undefined;
}

const address = (value: string): string | undefined =>
  Number(/^.+:(\d{1,5})$/.exec(value)?.[1] ?? Number.NaN) <= 65_535 ? undefined : 'is not host:port';
const path = (value: string): string | undefined => (isAbsolute(value) ? undefined : 'is not an absolute path');
const whole = (value: string): string | undefined =>
  /^\d{1,15}$/.test(value) && Number(value) > 0 ? undefined : 'is not a positive whole number';

const wholeOrZero = (value: string): string | undefined =>
  /^\d{1,15}$/.test(value) ? undefined : 'is not a whole number';
const oneOf =
  (...values: string[]) =>
  (value: string): string | undefined =>
    values.includes(value) ? undefined : `is not one of ${values.join(', ')}`;
const dnsName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const objectName: Setting = {
  fallback: '',
  check: (value) => (value === '' || dnsName.test(value) ? undefined : 'is not the name of an object of Kubernetes'),
};

export const words = (value: string): string[] => value.split(/\s+/).filter((word) => word !== '');
const urls = (value: string): string | undefined => {
  const wrong = words(value).find((url) => !isSafeUrl(url));
  return wrong === undefined ? undefined : `holds ${wrong}, which is no https URL`;
};

/** https, or http to this machine. */
export function isSafeUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return false;
  return (
    url.protocol === 'https:' || (url.protocol === 'http:' && /^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname))
  );
}

/** Every setting by its name: what it is unless it is set, and what is wrong with a value. */
export const settings = {
  KCORDER_LISTEN: { fallback: '127.0.0.1:7443', check: address },
  KCORDER_METRICS_LISTEN: { fallback: '127.0.0.1:9464', check: address },
  KCORDER_API_LISTEN: { fallback: '', check: (value) => (value === '' ? undefined : address(value)) },
  KCORDER_TLS_DIR: { fallback: '/etc/kcorder/tls', check: (value) => (value === '' ? undefined : path(value)) },
  KCORDER_AUTHORITY: { fallback: 'none', check: oneOf('none', 'directory', 'cluster') },
  KCORDER_SERVER_NAMES: {
    fallback: 'localhost',
    check: (value) =>
      value.split(',').every((name) => dnsName.test(name))
        ? undefined
        : 'is not a list of DNS names with commas between',
  },
  KCORDER_NAMESPACE: objectName,
  KCORDER_AUTHORITY_SECRET: objectName,
  KCORDER_TRUST_CONFIGMAP: objectName,
  KCORDER_AGENT_SERVICE_ACCOUNT: objectName,
  KCORDER_AGENT_DAEMONSET: objectName,
  KCORDER_JOIN_TOKENS: { fallback: 'auto', check: oneOf('auto', 'on', 'off') },
  KCORDER_APPROVAL: { fallback: 'off', check: oneOf('off', 'required') },
  KCORDER_MAX_CAPTURES: { fallback: '4', check: whole },
  KCORDER_STORE: { fallback: 'local', check: oneOf('local', 'gcs') },
  KCORDER_GCS_BUCKET: {
    fallback: '',
    check: (value) =>
      value === '' || /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/.test(value) ? undefined : 'is not the name of a bucket',
  },
  KCORDER_GCS_PREFIX: {
    fallback: '',
    check: (value) =>
      /^([A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$/.test(value) && value.length <= 256
        ? undefined
        : 'is not a path of letters, digits, dots, dashes and underscores without a slash at its ends',
  },
  KCORDER_GCS_KMS_KEY: {
    fallback: '',
    check: (value) =>
      value === '' || /^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+$/.test(value)
        ? undefined
        : 'is not projects/…/locations/…/keyRings/…/cryptoKeys/…',
  },
  KCORDER_GCS_ENDPOINT: { fallback: '', check: (value) => (value === '' ? undefined : urls(value)) },
  KCORDER_SPOOL_SECONDS: { fallback: '0', check: wholeOrZero },
  KCORDER_QUOTA_BYTES: { fallback: '0', check: wholeOrZero },
  KCORDER_NODE_QUOTA_BYTES: { fallback: '0', check: wholeOrZero },
  KCORDER_RETENTION_DAYS: { fallback: '0', check: wholeOrZero },
  KCORDER_VERIFY_DAYS: { fallback: '30', check: wholeOrZero },
  KCORDER_SCHEDULES_FILE: { fallback: '', check: (value) => (value === '' ? undefined : path(value)) },
  KCORDER_WEBHOOKS_FILE: { fallback: '', check: (value) => (value === '' ? undefined : path(value)) },
  KCORDER_CLUSTER_NAME: {
    fallback: '',
    check: (value) => (/^[\x20-\x7e]{0,128}$/.test(value) ? undefined : 'is not 128 printable characters at most'),
  },
  KCORDER_DATA_DIR: { fallback: '/var/lib/kcorder', check: path },
  KCORDER_SYMBOL_DIRS: {
    fallback: '',
    check: (value) =>
      value === '' || value.split(':').every(isAbsolute)
        ? undefined
        : 'is not a list of absolute paths with colons between',
  },
  KCORDER_SYMBOL_CACHE_BYTES: { fallback: String(8 * 2 ** 30), check: whole },
  KCORDER_SYMBOL_BUCKETS: { fallback: '', check: urls },
  KCORDER_COS_URL: {
    fallback: 'https://storage.googleapis.com/cos-tools',
    check: (value) => (value === 'off' ? undefined : urls(value)),
  },
  KCORDER_DEBUGINFOD_URLS: { fallback: '', check: urls },
  KCORDER_DWARF2JSON: { fallback: '', check: () => undefined },
  KCORDER_SYMBOLS_LISTEN: { fallback: '', check: (value) => (value === '' ? undefined : address(value)) },
  KCORDER_PYTHON: { fallback: '/usr/bin/python3', check: path },
  KCORDER_LOG_LEVEL: {
    fallback: 'info',
    check: (value) => (levels.includes(value) ? undefined : `is not one of ${levels.join(', ')}`),
  },
  KCORDER_STALL_SECONDS: { fallback: '900', check: whole },
  KCORDER_ORDER_SECONDS: { fallback: '600', check: whole },
  KCORDER_RESERVE_BYTES: { fallback: String(1 << 30), check: whole },
  KCORDER_ANALYSIS_MEMORY_BYTES: { fallback: String(4 * 2 ** 30), check: whole },
  KCORDER_ANALYSIS_CONFINEMENT: { fallback: 'best-effort', check: oneOf('best-effort', 'required') },
  KCORDER_PLUGIN_SECONDS: { fallback: '300', check: whole },
} satisfies Record<string, Setting>;
