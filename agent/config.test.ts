import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeAuthority } from '../tools/certificates.ts';
import { readConfig } from './config.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-config-'));
const hash = 'AB'.repeat(32);
const avml = join(dir, 'avml');
let valid: Record<string, string>;
let otherKeyDir: string;

beforeAll(() => {
  const authority = makeAuthority(join(dir, 'tls'));
  const leaf = authority.agent('lab-1', 'uid-1');
  valid = { KCORDER_COLLECTOR: 'collector:8443', KCORDER_TLS_DIR: leaf.dir, KCORDER_AVML: avml };
  writeFileSync(`${avml}.sha256`, `${hash}  avml\n`);
  otherKeyDir = authority.agent('lab-2', 'uid-2').dir;
  writeFileSync(join(otherKeyDir, 'tls.key'), leaf.key);
});

afterAll(() => rmSync(dir, { recursive: true }));

test('what is not set has its default, and the hash comes from beside the program', () => {
  expect(readConfig({ ...valid, PATH: '/bin' })).toMatchObject({
    collector: 'collector:8443',
    serverName: undefined,
    avmlPath: avml,
    avmlSha256: hash.toLowerCase(),
    runDir: '/run/kcorder',
    hostRoot: '/host',
    logLevel: 'info',
    metricsListen: '',
  });
});

test('a hash that is set goes before the file', () => {
  expect(readConfig({ ...valid, KCORDER_AVML_SHA256: 'cd'.repeat(32) }).avmlSha256).toBe('cd'.repeat(32));
});

test.each<[string, Record<string, string>, string]>([
  ['an unknown key', { KCORDER_COLECTOR: 'x:1' }, 'KCORDER_COLECTOR: unknown'],
  ['no port', { KCORDER_COLLECTOR: 'collector' }, 'KCORDER_COLLECTOR: "collector" is not host:port'],
  ['a port out of range', { KCORDER_COLLECTOR: 'collector:70000' }, 'KCORDER_COLLECTOR: "collector:70000"'],
  ['a relative folder', { KCORDER_RUN_DIR: 'run' }, 'KCORDER_RUN_DIR: run is not an absolute path'],
  ['a level that does not exist', { KCORDER_LOG_LEVEL: 'loud' }, 'KCORDER_LOG_LEVEL: loud is none of'],
  ['a hash that is none', { KCORDER_AVML_SHA256: 'abc' }, 'KCORDER_AVML_SHA256: not 64 hex digits'],
  ['no hash anywhere', { KCORDER_AVML: '/nowhere/avml' }, 'KCORDER_AVML_SHA256: not set, and ENOENT'],
  ['a place to enrol that is none', { KCORDER_ENROL: 'collector' }, 'KCORDER_ENROL: "collector" is not host:port'],
  ['a certificate and enrolment', { KCORDER_ENROL: 'collector:7444' }, 'KCORDER_TLS_DIR: not read with KCORDER_ENROL'],
  ['metrics on no port', { KCORDER_METRICS_LISTEN: 'all' }, 'KCORDER_METRICS_LISTEN: "all" is not host:port'],
  ['no certificates', { KCORDER_TLS_DIR: '/nowhere' }, 'KCORDER_TLS_DIR: /nowhere/tls.crt: ENOENT'],
])('%s is refused', (_, change, message) => {
  expect(() => readConfig({ ...valid, ...change })).toThrow(message);
});

test('an agent that enrols needs no certificate, nor is a file that comes later an error', () => {
  const enrols = { ...valid, KCORDER_TLS_DIR: '', KCORDER_ENROL: 'collector:7444' };
  const identity = {
    enrol: 'collector:7444',
    tokenFile: '/var/run/secrets/kcorder/token',
    caFile: '/etc/kcorder/trust/ca.crt',
  };
  expect(readConfig(enrols).identity).toEqual(identity);
  const places = { KCORDER_ENROL_TOKEN_FILE: '/nowhere/join', KCORDER_CA_FILE: '/nowhere/ca.crt' };
  const set = { ...identity, tokenFile: '/nowhere/join', caFile: '/nowhere/ca.crt' };
  expect(readConfig({ ...enrols, ...places }).identity).toEqual(set);
});

test('the key of another certificate is refused', () => {
  expect(() => readConfig({ ...valid, KCORDER_TLS_DIR: otherKeyDir })).toThrow('not the key of tls.crt');
});

test('all errors come at once, each with its place', () => {
  const places = /KCORDER_X: .*KCORDER_COLLECTOR: .*KCORDER_LOG_LEVEL: .*KCORDER_TLS_DIR: .*KCORDER_HOST_ROOT: /s;
  const wrong = { KCORDER_X: '1', KCORDER_LOG_LEVEL: 'loud', KCORDER_TLS_DIR: '/nowhere', KCORDER_HOST_ROOT: 'host' };
  expect(() => readConfig(wrong)).toThrow(places);
});
