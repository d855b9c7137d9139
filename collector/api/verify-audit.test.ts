import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { type AuditVerdict, EvidenceService } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { AuditLog } from '../journal/audit-log.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

async function verdictOf(
  rig: Rig,
  noted: { notedSequence?: bigint; notedSha256?: string } = {},
): Promise<AuditVerdict | undefined> {
  const { verifyAudit } = connect(EvidenceService, rig.channel(parties.operator));
  let verdict: AuditVerdict | undefined;
  for await (const message of verifyAudit(noted)) verdict = message.verdict ?? verdict;
  return verdict;
}

test('the log is followed to the record of this very check, and holds a head that was noted', async () => {
  await using rig = await Rig.start(parties);
  await rig.ordered();
  const first = await verdictOf(rig);
  expect(first).toMatchObject({
    intact: true,
    detail: '',
    brokenAt: 0n,
    headSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  const { headSequence: notedSequence = 0n, headSha256 = '' } = first ?? {};
  const second = await verdictOf(rig, { notedSequence, notedSha256: headSha256.slice(0, 12) });
  expect(second).toMatchObject({ intact: true, headSequence: notedSequence + 1n });
});

test('records that were cut off while the collector was down are missed by the check and by the noted head', async () => {
  await using rig = await Rig.start(parties);
  await rig.ordered();
  const noted = await verdictOf(rig);
  await rig.stopCollector();
  const path = join(rig.dataDir, 'kcorder.db');
  const database = new DatabaseSync(path);
  const { seq } = new AuditLog(database).head();
  database.exec(`DELETE FROM audit WHERE seq >= ${seq}`);
  // As somebody would who knows of the checkpoint.
  database.exec(`UPDATE audit_checkpoint SET (seq, hash) = (SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1)`);
  database.close();
  await rig.startCollector();
  expect(await verdictOf(rig)).toMatchObject({ intact: true });
  const { headSequence: notedSequence = 0n, headSha256: notedSha256 = '' } = noted ?? {};
  expect(await verdictOf(rig, { notedSequence, notedSha256 })).toMatchObject({
    intact: false,
    brokenAt: notedSequence,
    detail: expect.stringContaining('was written anew'),
  });
});

test.each([
  { notedSequence: 0n, notedSha256: 'ab'.repeat(32) },
  { notedSequence: 1n, notedSha256: '' },
  { notedSequence: 1n, notedSha256: 'ab' },
  { notedSequence: 1n, notedSha256: '%'.repeat(12) },
  { notedSequence: 2n ** 63n, notedSha256: 'ab'.repeat(32) },
])('a noted head that is none is refused: $notedSequence $notedSha256', async (noted) => {
  await using rig = await Rig.start(parties);
  await expect(verdictOf(rig, noted)).rejects.toMatchObject({ code: 'invalid_argument' });
});
