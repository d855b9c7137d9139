import { isAbsolute } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';

/** How a collector is set up. Sizes in bytes, times in milliseconds. */
export interface Config {
  readonly listen: string;
  readonly metricsListen: string;
  readonly tlsDir: string;
  readonly dataDir: string;
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
}

const levels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/** What Kubernetes puts into every container about a Service whose name begins with kcorder. */
const serviceLink = /_SERVICE_(HOST|PORT)|_PORT(_\d+_|$)/;

interface Setting {
  readonly fallback?: string;
  readonly check: (value: string) => string | undefined;
}

const address = (value: string): string | undefined =>
  Number(/^.+:(\d{1,5})$/.exec(value)?.[1] ?? Number.NaN) <= 65_535 ? undefined : 'is not host:port';
const path = (value: string): string | undefined => (isAbsolute(value) ? undefined : 'is not an absolute path');
const whole = (value: string): string | undefined =>
  /^\d{1,15}$/.test(value) && Number(value) > 0 ? undefined : 'is not a positive whole number';

const words = (value: string): string[] => value.split(/\s+/).filter((word) => word !== '');
const urls = (value: string): string | undefined => {
  const wrong = words(value).find((url) => !isSafeUrl(url));
  return wrong === undefined ? undefined : `holds ${wrong}, which is no https URL`;
};

/** https, or http to this machine. */
function isSafeUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return false;
  return (
    url.protocol === 'https:' || (url.protocol === 'http:' && /^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname))
  );
}

const settings = {
  KCORDER_LISTEN: { fallback: '127.0.0.1:7443', check: address },
  KCORDER_METRICS_LISTEN: { fallback: '127.0.0.1:9464', check: address },
  KCORDER_TLS_DIR: { fallback: '/etc/kcorder/tls', check: path },
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
  KCORDER_PLUGIN_SECONDS: { fallback: '300', check: whole },
} satisfies Record<string, Setting>;

type Key = keyof typeof settings;

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
    tlsDir: values.KCORDER_TLS_DIR,
    dataDir: values.KCORDER_DATA_DIR,
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
  };
}
