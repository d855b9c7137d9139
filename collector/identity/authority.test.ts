import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Authority } from './authority.ts';
import type { AuthorityStore } from './authority-store.ts';
import { DirectoryStore } from './directory-store.ts';
import { type Generation, lives } from './generations.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kcorder-authority-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const nodeKey = (): Buffer =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'der', type: 'spki' });
const node = { name: 'node-1.example', uid: '6f1b' };

test('a certificate of a node: its URI and its key and nothing else, for an hour, by the authority in the bundle', async () => {
  const authority = await Authority.open(new DirectoryStore(dir));
  const key = nodeKey();
  const { certificate, notAfter } = await authority.issueNode(node, key);
  const leaf = new X509Certificate(certificate);
  const ca = new X509Certificate(authority.bundle);
  expect(leaf.subjectAltName).toBe('URI:spiffe://kcorder/node/node-1.example/6f1b');
  expect(leaf.publicKey.export({ format: 'der', type: 'spki' })).toEqual(key);
  expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
  expect(leaf.ca).toBe(false);
  expect(ca.ca).toBe(true);
  expect(leaf.checkIssued(ca) && leaf.verify(ca.publicKey)).toBe(true);
  expect(Math.abs(notAfter.getTime() - Date.now() - lives.leaf)).toBeLessThan(60_000);
  expect(leaf.validToDate.getTime()).toBe(Math.floor(notAfter.getTime() / 1000) * 1000);
});

test('a certificate of the collector: its names, for servers only', async () => {
  const authority = await Authority.open(new DirectoryStore(dir));
  const { certificate, key } = await authority.issueServer(['kcorder-collector.kcorder.svc'], ['127.0.0.1']);
  const leaf = new X509Certificate(certificate);
  expect(leaf.subjectAltName).toBe('DNS:kcorder-collector.kcorder.svc, IP Address:127.0.0.1');
  expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  expect(key).toContain('BEGIN PRIVATE KEY');
});

test('the same authority after a restart; its file is for the collector alone', async () => {
  const first = await Authority.open(new DirectoryStore(dir));
  const second = await Authority.open(new DirectoryStore(dir));
  expect(second.bundle).toBe(first.bundle);
  expect(readFileSync(join(dir, 'ca.crt'), 'utf8')).toBe(first.bundle);
  expect(statSync(join(dir, 'authority.json')).mode & 0o777).toBe(0o600);
});

test('a restart writes nothing that has not changed: a full disk does not stop it', async () => {
  const { bundle } = await Authority.open(new DirectoryStore(dir));
  // Nothing can be written where a directory is.
  for (const name of ['authority.json', 'ca.crt']) mkdirSync(join(dir, `${name}.new`));
  expect((await Authority.open(new DirectoryStore(dir))).bundle).toBe(bundle);
  await expect(Authority.open(new DirectoryStore(dir), async () => 'another PEM\n')).rejects.toMatchObject({
    code: 'storage_failed',
  });
});

test('the successor is made known at half life, signs a day later, and the old one is forgotten a day after that', async () => {
  let nowMs = Date.now();
  const authority = await Authority.open(new DirectoryStore(dir), undefined, () => nowMs);
  const issuers = async (): Promise<{ trusted: number; by: string }> => {
    await authority.turn();
    const { certificate } = await authority.issueNode(node, nodeKey());
    const cas = authority.bundle.split(/(?<=END CERTIFICATE-----)/).filter((pem) => pem.includes('BEGIN'));
    expect(cas.some((pem) => new X509Certificate(certificate).verify(new X509Certificate(pem).publicKey))).toBe(true);
    return { trusted: cas.length, by: new X509Certificate(certificate).issuer };
  };
  const before = await issuers();
  nowMs += lives.authority / 2;
  expect(await issuers()).toEqual({ trusted: 2, by: before.by });
  nowMs += lives.overlap;
  const after = await issuers();
  expect(after.trusted).toBe(2);
  expect(after.by).not.toBe(before.by);
  nowMs += lives.farewell;
  expect(await issuers()).toEqual({ trusted: 1, by: after.by });
});

test('two collectors that begin at once end up with one authority', async () => {
  let stored: { generations: readonly Generation[]; version: string } | undefined;
  const store: AuthorityStore = {
    read: async () => stored,
    write: async (generations, version) => {
      if (stored?.version !== version) return undefined;
      stored = { generations, version: String(Number(version ?? 0) + 1) };
      return stored.version;
    },
    publish: async () => undefined,
  };
  const [one, other] = await Promise.all([Authority.open(store), Authority.open(store)]);
  expect(one.bundle).toBe(other.bundle);
  expect(stored?.version).toBe('1');
});

test('what is published includes the authority of a serving certificate from elsewhere, and it is not among those whose nodes are taken', async () => {
  const authority = await Authority.open(new DirectoryStore(dir), async () => 'another PEM\n');
  expect(readFileSync(join(dir, 'ca.crt'), 'utf8')).toBe(`${authority.bundle}another PEM\n`);
  expect(authority.bundle).not.toContain('another');
});

test.each([
  { sentence: 'an empty file', text: '' },
  { sentence: 'something else', text: '{"generations": []}' },
  {
    sentence: 'a generation without a key',
    text: '{"generations": [{"createdAt":"2026-01-01","notAfter":"2027-01-01","certificate":"BEGIN CERTIFICATE"}]}',
  },
])('$sentence is refused, never replaced', async ({ text }) => {
  writeFileSync(join(dir, 'authority.json'), text);
  await expect(Authority.open(new DirectoryStore(dir))).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('authority.json cannot be understood: restore it'),
  });
  expect(readFileSync(join(dir, 'authority.json'), 'utf8')).toBe(text);
});

test('a turn that cannot write leaves everything as it was', async () => {
  let nowMs = Date.now();
  const authority = await Authority.open(new DirectoryStore(dir), undefined, () => nowMs);
  const { bundle } = authority;
  rmSync(dir, { recursive: true });
  writeFileSync(dir, 'a file where the directory was');
  chmodSync(dir, 0o600);
  nowMs += lives.authority / 2;
  await expect(authority.turn()).rejects.toMatchObject({ code: 'storage_failed' });
  expect(authority.bundle).toBe(bundle);
  await authority.issueNode(node, nodeKey());
});

const aheadMs = 400 * 86_400_000;

test('an authority that was first made while the clock was ahead is replaced once it is right', async () => {
  let nowMs = Date.now() + aheadMs;
  const authority = await Authority.open(new DirectoryStore(dir), undefined, () => nowMs);
  nowMs -= aheadMs;
  await expect(authority.issueNode(node, nodeKey())).rejects.toMatchObject({ code: 'unavailable' });
  await authority.turn();
  const { notBefore } = await authority.issueNode(node, nodeKey());
  expect(notBefore.getTime()).toBeLessThan(nowMs);
  expect(authority.notAfter.getTime()).toBe(nowMs + lives.authority);
});

test('turns under a clock that is ahead leave the authority there was, also for a collector that starts then', async () => {
  let nowMs = Date.now();
  const now = (): number => nowMs;
  const first = await Authority.open(new DirectoryStore(dir), undefined, now);
  const { bundle } = first;
  nowMs += aheadMs;
  await first.turn();
  await first.turn();
  const second = await Authority.open(new DirectoryStore(dir), undefined, now);
  expect(second.bundle).not.toContain(bundle);
  await second.issueNode(node, nodeKey());
  nowMs -= aheadMs;
  await second.turn();
  expect(second.bundle).toContain(bundle);
  const { certificate } = await second.issueNode(node, nodeKey());
  expect(new X509Certificate(certificate).verify(new X509Certificate(bundle).publicKey)).toBe(true);
});
