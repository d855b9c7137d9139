import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeAuthority } from '../../tools/certificates.ts';
import { type Certificates, type LoopbackCollector, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand } from '../fixtures/command.ts';

let certificates: Certificates;
let collector: LoopbackCollector;
let plain: Server;
let plainAddress: string;

beforeAll(async () => {
  certificates = makeCertificates();
  collector = await startCollector(certificates, { listNodes: async () => ({ nodes: [] }) });
  plain = createServer((socket) => socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  const bound = plain.address();
  plainAddress = typeof bound === 'object' && bound !== null ? `127.0.0.1:${bound.port}` : '';
});
afterAll(async () => {
  plain.close();
  await collector[Symbol.asyncDispose]();
  certificates[Symbol.dispose]();
});

const nodesOf = (address: string, tlsDir: string) =>
  runCommand(['get', 'nodes', '--collector', address, '--tls-dir', tlsDir]);

/** A copy of the operator's directory, changed. */
function alteredDir(change: (dir: string) => void): string {
  const dir = mkdtempSync(join(certificates.dir, 'tls-'));
  cpSync(certificates.operatorDir, dir, { recursive: true });
  change(dir);
  return dir;
}

test('the right certificates open the way, and an empty answer says so', async () => {
  const ran = await nodesOf(collector.address, certificates.operatorDir);
  expect(ran).toEqual({ exit: 0, stdout: '', stderr: 'No nodes: no agent has ever attached to this collector.\n' });
});

test.each<[string, () => readonly [address: string, tlsDir: string], number, RegExp]>([
  [
    'nobody listens',
    () => ['127.0.0.1:1', certificates.operatorDir],
    1,
    /^kcorder: the collector at 127\.0\.0\.1:1 refused the connection\. Is it running/,
  ],
  [
    'a name that does not resolve',
    () => ['nowhere.invalid:7443', certificates.operatorDir],
    1,
    /^kcorder: the collector at nowhere\.invalid:7443 cannot be found/,
  ],
  [
    'a port that speaks no TLS',
    () => [plainAddress, certificates.operatorDir],
    1,
    /does not speak TLS 1\.3 there\. Is the port right\?/,
  ],
  [
    'an address without a port',
    () => ['collector', certificates.operatorDir],
    2,
    /the collector's address "collector" is not host:port\./,
  ],
  [
    'no such directory',
    () => [collector.address, '/nowhere'],
    2,
    /^kcorder: cannot read \/nowhere\/ca\.crt: no such file or directory\. The TLS directory/,
  ],
  [
    'a missing file of the directory',
    () => [collector.address, alteredDir((dir) => rmSync(join(dir, 'tls.key')))],
    2,
    /^kcorder: cannot read .*\/tls\.key: no such file or directory/,
  ],
  [
    'a certificate that is none',
    () => [collector.address, alteredDir((dir) => writeFileSync(join(dir, 'tls.crt'), 'rubbish'))],
    2,
    /^kcorder: the certificates in .* cannot be used: .* must be PEM files/,
  ],
  [
    'the key of another certificate',
    () => [
      collector.address,
      alteredDir((dir) => writeFileSync(join(dir, 'tls.key'), certificates.authority.operator('bob').key)),
    ],
    2,
    /^kcorder: the certificates in .* cannot be used: .*tls\.key the key of tls\.crt/,
  ],
  [
    'an authority that did not sign the collector',
    () => [
      collector.address,
      alteredDir((dir) => writeFileSync(join(dir, 'ca.crt'), makeAuthority(join(certificates.dir, 'other')).ca)),
    ],
    1,
    /showed a certificate that ca\.crt did not sign/,
  ],
  [
    'a client certificate of another authority',
    () => {
      const stranger = makeAuthority(join(certificates.dir, 'stranger')).operator('mallory');
      writeFileSync(join(stranger.dir, 'ca.crt'), certificates.authority.ca);
      return [collector.address, stranger.dir];
    },
    1,
    /(?:refused the client certificate|closed the connection\. It may have restarted, or refused the client certificate)/,
  ],
  [
    'a name that the certificate does not carry',
    () => [`127.0.0.2:${collector.port}`, certificates.operatorDir],
    1,
    /^kcorder: the collector at 127\.0\.0\.2:\d+ (?:showed a certificate for another name|refused the connection)/,
  ],
])('%s is told in one sentence', async (_what, place, exit, expected) => {
  const [address, tlsDir] = place();
  const ran = await nodesOf(address, tlsDir);
  expect(ran.stderr).toMatch(expected);
  expect(ran.stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(ran.exit).toBe(exit);
  expect(ran.stdout).toBe('');
});

test.each([
  [
    'collector',
    ['--tls-dir', '/x'],
    /^kcorder: no collector is given\. Set --collector host:port or KCORDER_COLLECTOR\.\n$/,
  ],
  ['certificates', ['--collector', 'x:1'], /^kcorder: no certificates are given\. Set --tls-dir or KCORDER_TLS_DIR/],
])('without a %s the way is told', async (_what, options, expected) => {
  const ran = await runCommand(['get', 'nodes', ...options]);
  expect(ran.stderr).toMatch(expected);
  expect(ran.exit).toBe(2);
});

test('a collector that lacks a command is told from one that refuses it', async () => {
  const ran = await runCommand([
    'cancel',
    'x',
    '--collector',
    collector.address,
    '--tls-dir',
    certificates.operatorDir,
  ]);
  expect(ran.stderr).toBe('kcorder: this canned collector has no such answer.\n');
});
