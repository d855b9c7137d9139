import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { EnrolmentPlace } from './identity/enrol.ts';

/** Everything that can be set from outside. */
export interface Config {
  /** host:port. */
  readonly collector: string;
  /** The certificate, or where to ask for one. */
  readonly identity: TlsIdentity | EnrolmentPlace;
  /** Name that the collector's certificate must carry, when it differs from the host. */
  readonly serverName: string | undefined;
  readonly avmlPath: string;
  /** Lower-case hex. */
  readonly avmlSha256: string;
  /** Folder on tmpfs for the FIFO. */
  readonly runDir: string;
  /** Where the node's /etc and /var/log/containers are mounted read-only. */
  readonly hostRoot: string;
  readonly logLevel: string;
  /** host:port of /metrics; empty: the agent listens on nothing. */
  readonly metricsListen: string;
}

const keys = [
  'KCORDER_COLLECTOR',
  'KCORDER_TLS_DIR',
  'KCORDER_ENROL',
  'KCORDER_ENROL_TOKEN_FILE',
  'KCORDER_CA_FILE',
  'KCORDER_SERVER_NAME',
  'KCORDER_AVML',
  'KCORDER_AVML_SHA256',
  'KCORDER_RUN_DIR',
  'KCORDER_HOST_ROOT',
  'KCORDER_LOG_LEVEL',
  'KCORDER_METRICS_LISTEN',
] as const;
type Key = (typeof keys)[number];
/** What Kubernetes puts into every container about a Service whose name begins with kcorder. */
const serviceLink = /_SERVICE_(HOST|PORT)|_PORT(_\d+_|$)/;
const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/** Reads the configuration from the environment. Throws config_invalid with every error at once, one a line, each with its place. */
export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const errors: string[] = [];
  const set = (key: Key): string | undefined => environment[key] || undefined;
  for (const key of Object.keys(environment)) {
    if (key.startsWith('KCORDER_') && !(keys as readonly string[]).includes(key) && !serviceLink.test(key)) {
      errors.push(`${key}: unknown; the known ones are ${keys.join(', ')}`);
    }
  }
  const place = (key: Key, otherwise: string): string => {
    const path = set(key) ?? otherwise;
    if (!isAbsolute(path)) errors.push(`${key}: ${path} is not an absolute path`);
    return path;
  };
  const collector = set('KCORDER_COLLECTOR') ?? '';
  if (!isHostAndPort(collector))
    errors.push(`KCORDER_COLLECTOR: "${collector}" is not host:port, as in collector:7443`);
  const enrol = set('KCORDER_ENROL');
  if (enrol !== undefined && !isHostAndPort(enrol))
    errors.push(`KCORDER_ENROL: "${enrol}" is not host:port, as in collector:7444`);
  if (enrol !== undefined && set('KCORDER_TLS_DIR') !== undefined)
    errors.push('KCORDER_TLS_DIR: not read with KCORDER_ENROL; set one of the two');
  const logLevel = set('KCORDER_LOG_LEVEL') ?? 'info';
  if (!logLevels.includes(logLevel)) errors.push(`KCORDER_LOG_LEVEL: ${logLevel} is none of ${logLevels.join(', ')}`);
  const metricsListen = set('KCORDER_METRICS_LISTEN') ?? '';
  if (metricsListen !== '' && !isHostAndPort(metricsListen))
    errors.push(`KCORDER_METRICS_LISTEN: "${metricsListen}" is not host:port, as in 0.0.0.0:9464`);
  const avmlPath = place('KCORDER_AVML', '/usr/local/bin/avml');
  const config: Config = {
    collector,
    identity:
      enrol === undefined
        ? readIdentity(place('KCORDER_TLS_DIR', '/etc/kcorder/tls'), errors)
        : {
            enrol,
            tokenFile: place('KCORDER_ENROL_TOKEN_FILE', '/var/run/secrets/kcorder/token'),
            caFile: place('KCORDER_CA_FILE', '/etc/kcorder/trust/ca.crt'),
          },
    serverName: set('KCORDER_SERVER_NAME'),
    avmlPath,
    avmlSha256: readSha256(set('KCORDER_AVML_SHA256'), avmlPath, errors),
    runDir: place('KCORDER_RUN_DIR', '/run/kcorder'),
    hostRoot: place('KCORDER_HOST_ROOT', '/host'),
    logLevel,
    metricsListen,
  };
  if (errors.length > 0) throw new Fault('config_invalid', `the configuration cannot be used:\n${errors.join('\n')}`);
  return config;
}

function isHostAndPort(text: string): boolean {
  const port = Number(/^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/.exec(text)?.[1]);
  return port >= 1 && port <= 65535;
}

function readSha256(given: string | undefined, avmlPath: string, errors: string[]): string {
  const path = `${avmlPath}.sha256`;
  const place = given === undefined ? path : 'KCORDER_AVML_SHA256';
  try {
    // The form of sha256sum has the file's name after the digits.
    const hex = (given ?? readFileSync(path, 'utf8')).trim().split(/\s+/)[0]?.toLowerCase() ?? '';
    if (/^[0-9a-f]{64}$/.test(hex)) return hex;
    errors.push(`${place}: not 64 hex digits`);
  } catch (error) {
    errors.push(`KCORDER_AVML_SHA256: not set, and ${reason(error)}`);
  }
  return '';
}

function readIdentity(dir: string, errors: string[]): TlsIdentity {
  const read = (name: string, check: (pem: Buffer) => unknown): Buffer => {
    const path = join(dir, name);
    try {
      const pem = readFileSync(path);
      check(pem);
      return pem;
    } catch (error) {
      errors.push(`KCORDER_TLS_DIR: ${path}: ${reason(error)}`);
      return Buffer.alloc(0);
    }
  };
  const ca = read('ca.crt', (pem) => new X509Certificate(pem));
  const certificate = read('tls.crt', (pem) => new X509Certificate(pem));
  const key = read('tls.key', (pem) => {
    const pair = createPrivateKey(pem);
    if (certificate.length > 0 && !new X509Certificate(certificate).checkPrivateKey(pair)) {
      throw new Error('not the key of tls.crt; the two must be exchanged together');
    }
  });
  return { ca, certificate, key };
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
