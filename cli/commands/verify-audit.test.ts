import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Certificates, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand } from '../fixtures/command.ts';

let certificates: Certificates;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates[Symbol.dispose]());

type Handlers = Parameters<typeof startCollector>[1];

async function kcorder(line: string, handlers: Handlers = {}) {
  await using collector = await startCollector(certificates, handlers);
  const environment = { KCORDER_COLLECTOR: collector.address, KCORDER_TLS_DIR: certificates.operatorDir };
  return await runCommand(line.split(' '), { environment });
}

test('verify --audit tells the head, sends the one that was noted, and a broken chain ends like damaged evidence', async () => {
  const asked: object[] = [];
  const following = (verdict: object): Handlers => ({
    verifyAudit: async function* ({ notedSequence, notedSha256 }) {
      asked.push({ notedSequence, notedSha256 });
      yield { doneRecords: 5n, totalRecords: 812n };
      yield { doneRecords: 812n, totalRecords: 812n, verdict };
    },
  });
  const head = { headSequence: 812n, headSha256: 'ab'.repeat(32) };
  const well = await kcorder('verify --audit --noted 812:ABABABABABAB', following({ intact: true, ...head }));
  expect(well).toEqual({
    exit: 0,
    stdout: `RECORDS  VERDICT  SHA-256\n812      intact   ${'ab'.repeat(32)}\n`,
    stderr: '',
  });
  expect(asked).toEqual([{ notedSequence: 812n, notedSha256: 'abababababab' }]);
  const broken = following({ detail: 'record 7 is missing\x1b[2J', brokenAt: 7n, ...head, headSequence: 6n });
  const bad = await kcorder('verify --audit', broken);
  expect(bad.stdout).toContain('6        BROKEN at 7');
  expect(bad.stderr).toContain('the audit log is not what was written: record 7 is missing\\x1b[2J');
  expect(bad.exit).toBe(3);
  const json = JSON.parse((await kcorder('verify --audit -o json', broken)).stdout);
  expect(json).toMatchObject({ verdict: { intact: false, brokenAt: '7', headSequence: '6' } });
});

test.each([
  { words: 'verify', says: 'name a capture, or give --audit: one of the two' },
  { words: 'verify c1 --audit', says: 'name a capture, or give --audit: one of the two' },
  { words: 'verify c1 --noted 1:abababababab', says: '--noted is about the audit log' },
  { words: 'verify --audit --noted 1:ab', says: 'Give SEQUENCE:SHA256' },
])('$words is refused before anybody is asked', async ({ words, says }) => {
  const ran = await kcorder(words, {});
  expect(ran.stderr).toContain(says);
  expect(ran.exit).toBe(2);
});
