import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import {
  type Environment,
  readSettings,
  rowsOf,
  textOf,
  unknownSettings,
  withoutEmpty,
} from '@kcorder/proto/settings.ts';
import type { InferOutput } from 'valibot';
import type { EnrolmentPlace } from './identity/enrol.ts';
import { settings } from './settings.ts';

/** The set-up of an agent, inferred from the rows of settings.ts. */
export interface Config
  extends Omit<InferOutput<typeof settings>, 'enrol' | 'tlsDir' | 'tokenFile' | 'caFile' | 'avmlSha256'> {
  /** The certificate, or where to ask for one. */
  readonly identity: TlsIdentity | EnrolmentPlace;
  /** Lower-case hex. */
  readonly avmlSha256: string;
}

/** Adds an error of the setting, found at a place: the setting itself unless it is said. */
type Complain = (name: string, what: string, place?: string) => void;

/** Reads the environment; empty is not set. Throws config_invalid with every error, one a line, each with its place. */
export function readConfig(environment: Environment = process.env): Config {
  const set = withoutEmpty(environment);
  const { tlsDir, enrol } = settings.entries;
  const names = rowsOf(settings).map(({ name }) => name);
  const { problems, values } = readSettings(settings, set);
  const errors = problems.map(({ name, what }) => ({ name, message: `${name}: ${what}` }));
  const complain: Complain = (name, what, place = name) => errors.push({ name, message: `${place}: ${what}` });
  const enrols = textOf(enrol.row, set) !== '';
  if (enrols && set.KCORDER_TLS_DIR !== undefined)
    complain('KCORDER_TLS_DIR', 'not read with KCORDER_ENROL; set one of the two');
  const given = enrols ? undefined : readIdentity(textOf(tlsDir.row, set), complain);
  const avmlSha256 = readSha256(set, complain);
  const sentences = [
    ...unknownSettings(settings, environment).map((name) => `${name}: unknown; the known ones are ${names.join(', ')}`),
    ...errors.sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name)).map(({ message }) => message),
  ];
  if (values === undefined || sentences.length > 0)
    throw new Fault('config_invalid', `the configuration cannot be used:\n${sentences.join('\n')}`);
  const { enrol: address = '', tokenFile, caFile, ...rest } = values;
  return { ...rest, avmlSha256, identity: given ?? { enrol: address, tokenFile, caFile } };
}

function readSha256(set: Environment, complain: Complain): string {
  const given = set.KCORDER_AVML_SHA256;
  const path = `${textOf(settings.entries.avmlPath.row, set)}.sha256`;
  try {
    // The form of sha256sum has the file's name after the digits.
    const hex = (given ?? readFileSync(path, 'utf8')).trim().split(/\s+/)[0]?.toLowerCase() ?? '';
    if (/^[0-9a-f]{64}$/.test(hex)) return hex;
    complain('KCORDER_AVML_SHA256', 'not 64 hex digits', given === undefined ? path : undefined);
  } catch (error) {
    complain('KCORDER_AVML_SHA256', `not set, and ${reason(error)}`);
  }
  return '';
}

function readIdentity(dir: string, complain: Complain): TlsIdentity {
  const read = (name: string, check: (pem: Buffer) => unknown): Buffer => {
    const path = join(dir, name);
    try {
      const pem = readFileSync(path);
      check(pem);
      return pem;
    } catch (error) {
      complain('KCORDER_TLS_DIR', `${path}: ${reason(error)}`);
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
