import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { CheckState, EvidenceService, StoragePlace } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { afterAll, expect, test, vi } from 'vitest';
import { StorageJournal } from '../journal/storage-journal.ts';
import { until } from '../testing/files.ts';
import { limeImage } from '../testing/lime-image.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const image = limeImage(1, [3_000_000, 1000]);

/** A collector with one capture that is done; its image is at rest unless it is to stay in the spool. */
async function withCapture(rig: Rig, spooled = false) {
  const { agent, operator, captureId } = await rig.ordered();
  const upload = await agent.open(captureId);
  await upload.chunks(image);
  await upload.finish(image);
  await upload.ended();
  await rig.done(captureId);
  const storage = async () => (await operator.getCapture({ captureId })).capture?.storage;
  if (!spooled) await until(async () => (await storage())?.place === StoragePlace.STORE);
  return { agent, operator, captureId, storage, evidence: connect(EvidenceService, rig.channel(parties.operator)) };
}

const all = async <T>(stream: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = [];
  for await (const each of stream) found.push(each);
  return found;
};

test('an image that was packed and stored is shown, downloaded and verified as what was sent', async () => {
  await using rig = await Rig.start(parties, { spoolMs: 0 });
  const { operator, captureId, storage, evidence } = await withCapture(rig);
  const path = join(rig.dataDir, 'evidence', captureId, 'image.lime.zst');
  expect(await storage()).toMatchObject({
    place: StoragePlace.STORE,
    location: path,
    crc32c: expect.stringMatching(/^[0-9a-f]{8}$/),
    lastError: '',
    holds: [],
  });
  await until(() => !existsSync(join(rig.dataDir, 'evidence', captureId, 'image.lime')));
  expect((await operator.getCapture({ captureId })).capture?.evidencePath).toBe(path);
  const chunks = await all(operator.downloadEvidence({ captureId }));
  expect(Buffer.concat(chunks.map(({ data }) => data)).equals(image)).toBe(true);
  const verdict = (await all(evidence.verifyEvidence({ captureId }))).at(-1);
  expect(verdict).toMatchObject({ doneBytes: BigInt(image.length), totalBytes: BigInt(image.length) });
  expect(verdict?.verdict).toMatchObject({ intact: true, sha256: chunks[0]?.header?.sha256 });
  expect((await storage())?.verifiedAt).toBeDefined();
});

test('one of a person and two in all verify evidence at once, and a place is free as soon as its image is read', async () => {
  await using rig = await Rig.start(parties, { spoolMs: 0 });
  const { captureId } = await withCapture(rig);
  const as = (name: string) => connect(EvidenceService, rig.channel(parties.authority.operator(name)));
  const callers = ['alice', 'alice', 'bob', 'carol', 'dave'].map(as);
  const ends = await Promise.allSettled(callers.map((evidence) => all(evidence.verifyEvidence({ captureId }))));
  const refusals = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []));
  expect(ends.length - refusals.length).toBe(2);
  for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'resource_exhausted', retryAfterMs: 5_000 });
  expect(refusals.map(({ message }) => message).sort()).toEqual([
    'the evidence was not verified: 2 others are verifying evidence, the most at a time. Retry when that has ended',
    'the evidence was not verified: 2 others are verifying evidence, the most at a time. Retry when that has ended',
    'the evidence was not verified: operator/alice is verifying evidence already. Retry when that has ended',
  ]);
  // Two who never take their verdict.
  const silent = ['erin', 'frank'].map(as).map((evidence) => evidence.verifyEvidence({ captureId }));
  await Promise.all(silent.map((stream) => stream[Symbol.asyncIterator]().next()));
  const served = async () =>
    await all(as('grace').verifyEvidence({ captureId })).then(
      () => true,
      () => false,
    );
  await until(served);
});

test('a verification that the disk did not take on record leaves its place', async () => {
  await using rig = await Rig.start(parties, { spoolMs: 0 });
  const { captureId, evidence } = await withCapture(rig);
  const full = vi.spyOn(StorageJournal.prototype, 'noteVerificationAsked').mockImplementation(() => {
    throw new Fault('storage_failed', 'the disk is full');
  });
  for (let attempt = 0; attempt < 3; attempt += 1)
    await expect(all(evidence.verifyEvidence({ captureId }))).rejects.toMatchObject({ code: 'storage_failed' });
  full.mockRestore();
  expect((await all(evidence.verifyEvidence({ captureId }))).at(-1)?.verdict?.intact).toBe(true);
});

test('hold, refusal to delete, release, deletion: each by whom and why, and then nothing is left but the record', async () => {
  await using rig = await Rig.start(parties, { spoolMs: 0 });
  const { operator, captureId, storage, evidence } = await withCapture(rig);
  const held = await evidence.holdEvidence({ captureId, reason: 'case 12' });
  expect(held.storage?.holds).toMatchObject([{ by: 'operator/alice', reason: 'case 12' }]);
  await expect(evidence.deleteEvidence({ captureId, reason: 'space' })).rejects.toMatchObject({
    code: 'evidence_held',
    message: expect.stringContaining('on hold by operator/alice (case 12)'),
  });
  expect((await evidence.releaseEvidence({ captureId, reason: 'closed' })).storage?.holds).toEqual([]);
  const { storage: deleted } = await evidence.deleteEvidence({ captureId, reason: 'not needed' });
  expect(deleted).toMatchObject({
    place: StoragePlace.DELETED,
    location: '',
    lastError: '',
    tombstone: { by: 'operator/alice', reason: 'not needed' },
  });
  expect(await storage()).toEqual(deleted);
  expect((await operator.getCapture({ captureId })).capture?.evidencePath).toBe('');
  expect(existsSync(join(rig.dataDir, 'evidence', captureId))).toBe(false);
  expect((await evidence.deleteEvidence({ captureId, reason: 'again' })).storage).toEqual(deleted);
  for (const act of [
    () => all(operator.downloadEvidence({ captureId })),
    () => all(evidence.verifyEvidence({ captureId })),
    () => evidence.holdEvidence({ captureId, reason: 'too late' }),
  ])
    await expect(act()).rejects.toMatchObject({ code: 'evidence_deleted' });
});

test.each(['deleteEvidence', 'holdEvidence', 'releaseEvidence'] as const)(
  '%s needs a reason of 1 to 1024 characters',
  async (method) => {
    await using rig = await Rig.start(parties);
    const { captureId, evidence, storage } = await withCapture(rig, true);
    for (const reason of ['', ' \n', 'x'.repeat(1025)])
      await expect(evidence[method]({ captureId, reason })).rejects.toMatchObject({
        code: 'invalid_argument',
        message: expect.stringContaining('a reason of 1 to 1024 characters is required'),
      });
    expect(await storage()).toMatchObject({ place: StoragePlace.SPOOL, holds: [] });
    expect((await evidence[method]({ captureId, reason: 'x'.repeat(1024) })).storage).toBeDefined();
  },
);

test('of a capture that runs, and of one that never was, nothing can be deleted, held or verified', async () => {
  await using rig = await Rig.start(parties);
  const { captureId } = await rig.ordered();
  const evidence = connect(EvidenceService, rig.channel(parties.operator));
  for (const [id, code] of [
    [captureId, 'capture_running'],
    ['c-9', 'capture_unknown'],
  ] as const)
    for (const act of [
      () => evidence.deleteEvidence({ captureId: id, reason: 'x' }),
      () => evidence.holdEvidence({ captureId: id, reason: 'x' }),
      () => evidence.releaseEvidence({ captureId: id, reason: 'x' }),
      () => all(evidence.verifyEvidence({ captureId: id })),
    ])
      await expect(act()).rejects.toMatchObject({ code });
});

test('checking the store tells each step', async () => {
  await using rig = await Rig.start(parties);
  const steps = await all(connect(EvidenceService, rig.channel(parties.operator)).checkStore({}));
  expect(steps.length).toBeGreaterThan(2);
  for (const { step, state, detail } of steps) {
    expect(step).not.toBe('');
    expect(detail).not.toBe('');
    expect([CheckState.OK, CheckState.SKIPPED]).toContain(state);
  }
});

test('where evidence may take so much only, the next capture is refused until something is deleted', async () => {
  await using rig = await Rig.start(parties, { quotaBytes: 1 });
  const [agent, operator] = [rig.agent(), rig.operator()];
  await agent.attach();
  await expect(
    operator.createCapture({ nodeName: 'n1', reason: 'a test', idempotencyKey: 'key' }),
  ).rejects.toMatchObject({
    code: 'quota_exceeded',
    message: expect.stringMatching(/needs up to \d+ bytes of evidence, 0 of 1 are used: delete evidence/),
  });
  expect(agent.orders).toEqual([]);
});

test('what a killed collector left unfinished is finished by the next one', async () => {
  await using rig = await Rig.start(parties);
  const { captureId, storage } = await withCapture(rig, true);
  expect((await storage())?.place).toBe(StoragePlace.SPOOL);
  await rig.stopCollector();
  await rig.startCollector({ spoolMs: 0 });
  const operator = rig.operator();
  await until(async () => (await operator.getCapture({ captureId })).capture?.storage?.place === StoragePlace.STORE);
  const chunks = await all(operator.downloadEvidence({ captureId, offset: 1_234_567n }));
  expect(Buffer.concat(chunks.map(({ data }) => data)).equals(image.subarray(1_234_567))).toBe(true);
});
