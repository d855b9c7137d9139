import { X509Certificate } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Parties, Rig } from '../testing/rig.ts';
import { Authority } from './authority.ts';
import { DirectoryStore } from './directory-store.ts';
import { Serving } from './serving.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-serving-'));
let parties: Parties;
beforeAll(() => {
  parties = new Parties();
});
afterAll(() => {
  parties[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
});

const deps = { trustsDirectory: true, names: ['localhost'], addresses: ['127.0.0.1'] };

test('the own certificate is issued anew at half of its life, and the authority turns once an hour', async () => {
  let nowMs = Date.now();
  const now = (): number => nowMs;
  const refused: unknown[] = [];
  const authority = await Authority.open(new DirectoryStore(join(dir, 'own')), undefined, now);
  const serving = await Serving.open({ ...deps, authority, tlsDir: '', refused: (error) => refused.push(error) }, now);
  const serial = (): string => new X509Certificate(serving.identity.current?.certificate ?? '').serialNumber;
  const first = serial();
  await serving.look();
  expect(serial()).toBe(first);
  nowMs += 40 * 60_000;
  await serving.look();
  expect(serial()).not.toBe(first);
  expect(serving.notAfter?.getTime()).toBeGreaterThan(nowMs);
  expect(refused).toEqual([]);
  serving.close();
});

test('once a clock that was a year ahead is right, the next look shows a certificate that holds now', async () => {
  const rightMs = Date.now();
  let nowMs = rightMs + 400 * 86_400_000;
  const now = (): number => nowMs;
  const authority = await Authority.open(new DirectoryStore(join(dir, 'ahead')), undefined, now);
  const refused: unknown[] = [];
  const serving = await Serving.open({ ...deps, authority, tlsDir: '', refused: (error) => refused.push(error) }, now);
  const shown = () => new X509Certificate(serving.identity.current?.certificate ?? '');
  expect(shown().validFromDate.getTime()).toBeGreaterThan(rightMs);
  nowMs = rightMs;
  await serving.look();
  expect(shown().validFromDate.getTime()).toBeLessThanOrEqual(rightMs);
  expect(authority.notAfter.getTime()).toBeGreaterThan(rightMs);
  expect(shown().checkIssued(new X509Certificate(authority.bundle))).toBe(true);
  expect(refused).toEqual([]);
  serving.close();
});

test.each([
  { sentence: 'an empty certificate', file: 'tls.crt', text: '' },
  { sentence: 'the key of another certificate', file: 'tls.key', text: 'other' },
  { sentence: 'an authority that is no PEM', file: 'ca.crt', text: 'rubbish' },
])(
  'a rotation that leaves $sentence: the last good pair stays, it is told, and connections go on',
  async ({ file, text }) => {
    const tlsDir = mkdtempSync(join(dir, 'rotated-'));
    cpSync(parties.server.dir, tlsDir, { recursive: true });
    await using rig = await Rig.start(parties, { tlsDir });
    const operator = rig.operator();
    await operator.getVersion({});
    writeFileSync(join(tlsDir, file), text === 'other' ? parties.operator.key : text);
    const refused: unknown[] = [];
    await expect(Serving.open({ ...deps, tlsDir, refused: () => undefined })).rejects.toMatchObject({
      code: 'config_invalid',
    });
    await rig.lookAtCertificates();
    expect(await rig.metrics()).toMatch(/kcorder_certificate_refusals_total 1\n/);
    await operator.getVersion({});
    await rig.operator().getVersion({});
    expect(refused).toEqual([]);
  },
);
