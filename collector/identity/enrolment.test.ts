import { createHash, generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { NodeIdentity } from '../capture/capture.ts';
import { Authority } from './authority.ts';
import { DirectoryStore } from './directory-store.ts';
import { type Application, type CredentialCheck, Enrolment, type Renewal } from './enrolment.ts';
import { checkOwnCertificate } from './enrolment-certificate.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-enrolment-'));
let authority: Authority;
beforeAll(async () => {
  authority = await Authority.open(new DirectoryStore(dir));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let records: { actor: string; action: string; detail: unknown }[];
beforeEach(() => {
  records = [];
});

const good: CredentialCheck = async (credential) => ({
  node: { name: 'n1', uid: 'u1' },
  shownBy: { pod: 'agent-x', podUid: credential },
  holder: `pod/${credential}`,
});

function enrolment(check: CredentialCheck = good): Enrolment {
  return new Enrolment({
    authority,
    checks: { service_account: check },
    record: (actor, action, detail) => void records.push({ actor, action, detail }),
  });
}

function application(changes: Partial<Application> = {}, curve = 'P-256', signed = 'token'): Application {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: curve });
  const message = Buffer.concat([Buffer.from('kcorder enrolment v1\n'), createHash('sha256').update(signed).digest()]);
  return {
    kind: 'service_account',
    credential: 'token',
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
    proof: sign('sha256', message, privateKey),
    agentVersion: '0.1.0',
    peer: '10.0.0.1:5',
    ...changes,
  };
}

test('whoever shows a good credential gets a certificate, and it is on record', async () => {
  const issued = await enrolment().enrol(application());
  expect(issued.certificate).toContain('BEGIN CERTIFICATE');
  expect(records).toEqual([
    {
      actor: 'node/n1',
      action: 'enrolled',
      detail: expect.objectContaining({ node: { name: 'n1', uid: 'u1' }, podUid: 'token', peer: '10.0.0.1:5' }),
    },
  ]);
  expect(JSON.stringify(records)).not.toContain('BEGIN');
});

test('a refused credential is one record with its reason, and no certificate', async () => {
  const check: CredentialCheck = async () => {
    throw new Fault('unauthenticated', 'its pod is gone');
  };
  await expect(enrolment(check).enrol(application())).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(records).toEqual([
    { actor: 'unknown', action: 'enrolment_refused', detail: expect.objectContaining({ why: 'its pod is gone' }) },
  ]);
});

test('when it cannot be put on record there is no certificate', async () => {
  const refusing = new Enrolment({
    authority,
    checks: { service_account: good },
    record: () => {
      throw new Fault('storage_failed', 'the disk is full');
    },
  });
  await expect(refusing.enrol(application())).rejects.toMatchObject({ code: 'storage_failed' });
});

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'der', type: 'spki' });
test.each([
  { sentence: 'no credential', of: () => application({ credential: '' }), says: 'a credential has' },
  {
    sentence: 'a credential of a megabyte',
    of: () => application({ credential: 'x'.repeat(1 << 20) }),
    says: 'a credential has',
  },
  { sentence: 'no key', of: () => application({ publicKey: new Uint8Array() }), says: 'public_key is not' },
  {
    sentence: 'rubbish for a key',
    of: () => application({ publicKey: Buffer.from('rubbish') }),
    says: 'public_key is not',
  },
  { sentence: 'an RSA key', of: () => application({ publicKey: rsa }), says: 'public_key is not' },
  { sentence: 'a key on another curve', of: () => application({}, 'P-384'), says: 'public_key is not' },
  {
    sentence: 'the proof of another key',
    of: () => application({ proof: application().proof }),
    says: 'proof was not made',
  },
  {
    sentence: 'the proof for another credential',
    of: () => application({}, 'P-256', 'other'),
    says: 'proof was not made',
  },
])('$sentence: invalid, and nobody is asked', async ({ of, says }) => {
  let asked = 0;
  const check: CredentialCheck = async (credential) => {
    asked += 1;
    return await good(credential, new Uint8Array());
  };
  await expect(enrolment(check).enrol(of())).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining(says),
  });
  expect(asked).toBe(0);
  expect(records).toEqual([]);
});

test('a kind of credential that this collector does not take', async () => {
  await expect(enrolment().enrol(application({ kind: 'join' }))).rejects.toMatchObject({
    code: 'unauthenticated',
    message: expect.stringContaining('takes no join tokens'),
  });
});

test('one pod enrols three times at once and then once a minute; others do not wait for it', async () => {
  const one = enrolment();
  for (let i = 0; i < 3; i += 1) await one.enrol(application());
  await expect(one.enrol(application())).rejects.toMatchObject({
    code: 'resource_exhausted',
    message: expect.stringMatching(/agent of node n1 cannot enrol so often: come again in \d+ s/),
  });
  await one.enrol(application({ credential: 'other' }, 'P-256', 'other'));
});

test('a flood fills neither the records nor the API server', async () => {
  let running = 0;
  let most = 0;
  const check: CredentialCheck = async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running -= 1;
    throw new Fault('unauthenticated', 'no');
  };
  const one = enrolment(check);
  const applied = application();
  const enrol = (): Promise<unknown> => one.enrol(applied).catch((error: Fault) => error.code);
  const endings = await Promise.all(Array.from({ length: 200 }, enrol));
  for (let i = 0; i < 200; i += 1) endings.push(await enrol());
  expect(new Set(endings)).toEqual(new Set(['unauthenticated', 'resource_exhausted']));
  expect(most).toBeLessThanOrEqual(32);
  expect(records.length).toBeLessThan(80);
});

test('the addresses of one /64 share a budget of refusals, and others do not wait for them', async () => {
  const check: CredentialCheck = async (credential) => {
    if (credential === 'bad') throw new Fault('unauthenticated', 'no');
    return await good(credential, new Uint8Array());
  };
  const one = enrolment(check);
  const from = (host: string, credential: string) =>
    one.enrol(application({ peer: `${host}:50000`, credential }, 'P-256', credential));
  for (let i = 0; i < 10; i += 1)
    await expect(from(`2001:db8::${i}`, 'bad')).rejects.toMatchObject({ code: 'unauthenticated' });
  await expect(from('2001:db8::ffff', 'token')).rejects.toMatchObject({ code: 'resource_exhausted' });
  await from('2001:db8:0:1::1', 'token');
});

const n1 = { name: 'n1', uid: 'u1' };

/** What the agent of a node asks for, with a certificate that the authority has issued for it. */
async function renewal(): Promise<Renewal> {
  const { publicKey, proof, agentVersion, peer } = application({}, 'P-256', '');
  const { certificate } = await authority.issueNode(n1, publicKey);
  return { publicKey, proof, agentVersion, peer, certificate: new X509Certificate(certificate).raw, nodeOf: () => n1 };
}

test('a certificate of the own authority is enough for the next one only where that is allowed', async () => {
  const record = (actor: string, action: string, detail: unknown): void => void records.push({ actor, action, detail });
  const outside = new Enrolment({ authority, checks: {}, renewsByCertificate: true, record });
  const { node, issued } = await outside.renew(await renewal());
  expect(node).toEqual(n1);
  expect(new X509Certificate(issued.certificate).subjectAltName).toBe('URI:spiffe://kcorder/node/n1/u1');
  expect(records).toEqual([]);
  await expect(enrolment().renew(await renewal())).rejects.toMatchObject({
    code: 'unauthenticated',
    message: expect.stringMatching(/of a cluster renews no certificate .* show the projected token of the pod/),
  });
  expect(records).toMatchObject([{ action: 'enrolment_refused', detail: { kind: 'certificate' } }]);
});

test('beside a certificate one check of a node runs at once, and those of other nodes do not wait for it', async () => {
  const answer = Promise.withResolvers<void>();
  const nodeOf = (names: string): NodeIdentity => ({ name: names.split('/')[4] ?? '', uid: 'u1' });
  const one = enrolment(async (credential) => {
    if (credential === 'n1') await answer.promise;
    return { node: { name: credential, uid: 'u1' }, shownBy: {}, holder: credential };
  });
  const asked = async (name: string): Promise<Application> => {
    const { certificate } = await authority.issueNode({ name, uid: 'u1' }, application().publicKey);
    const beside = { certificate: new X509Certificate(certificate).raw, nodeOf };
    return application({ credential: name, beside }, 'P-256', name);
  };
  const [n1, n2] = [await asked('n1'), await asked('n2')];
  const first = one.enrol(n1);
  await expect(one.enrol(n1)).rejects.toMatchObject({ code: 'resource_exhausted' });
  await one.enrol(n2);
  answer.resolve();
  await first;
  await one.enrol(n1);
});

test.each([
  { sentence: 'at its end', hours: 1.01, says: /held from .* and not now/ },
  { sentence: 'before its time', hours: -1, says: /held from .* and not now/ },
  {
    sentence: 'of an authority that is not trusted',
    hours: 0,
    bundle: '',
    says: /not of this collector's own authority/,
  },
])('a certificate $sentence is no certificate', async ({ hours, bundle, says }) => {
  const certificate = new X509Certificate((await renewal()).certificate);
  const check = (nowMs: number, trusted = bundle ?? authority.bundle) =>
    checkOwnCertificate(certificate, n1, trusted, nowMs);
  expect(() => check(Date.now(), authority.bundle)).not.toThrow();
  expect(() => check(Date.now() + hours * 3_600_000)).toThrow(says);
});
