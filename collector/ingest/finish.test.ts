import { existsSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { afterAll, expect, test } from 'vitest';
import type { HandUpload } from '../testing/hand-agent.ts';
import { limeImage, noise } from '../testing/lime-image.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const image = limeImage(3, [700_000, 300_000]);
const cut = image.subarray(0, image.length - 1);

interface Row {
  readonly sentence: string;
  readonly stored: Buffer;
  readonly finish: Parameters<HandUpload['finish']>[1];
  readonly outcome: { kind: OutcomeKind; reason: string };
  readonly detail: string;
}

const rows: Row[] = [
  {
    sentence: 'AVML that failed leaves a partial image, with its exit code and what it said',
    stored: cut,
    finish: { exitCode: 1, stderrTail: 'unable to read /proc/kcore\n' },
    outcome: { kind: OutcomeKind.PARTIAL, reason: 'acquirer_failed' },
    detail: `exit code 1 after ${cut.length} bytes: unable to read /proc/kcore`,
  },
  {
    sentence: 'AVML that was killed leaves a partial image, with the signal',
    stored: cut,
    finish: { exitCode: -1, signal: 'SIGKILL' },
    outcome: { kind: OutcomeKind.PARTIAL, reason: 'acquirer_died' },
    detail: `SIGKILL after ${cut.length} bytes`,
  },
  {
    sentence: 'even a whole image is not complete when AVML failed at its end',
    stored: image,
    finish: { exitCode: 2 },
    outcome: { kind: OutcomeKind.PARTIAL, reason: 'acquirer_failed' },
    detail: 'exit code 2',
  },
  {
    sentence: 'an agent that read more bytes than it sent leaves a partial image',
    stored: image,
    finish: { bytes: BigInt(image.length + 1) },
    outcome: { kind: OutcomeKind.PARTIAL, reason: 'bytes_missing' },
    detail: `the agent read ${image.length + 1} bytes, ${image.length} of them are stored`,
  },
  {
    sentence: 'an image whose SHA-256 is not the one that the agent counted fails',
    stored: image,
    finish: { sha256: Buffer.alloc(32) },
    outcome: { kind: OutcomeKind.FAILED, reason: 'integrity_conflict' },
    detail: '0'.repeat(64),
  },
  {
    sentence: 'an image that is cut inside a record is partial although everything else fits',
    stored: cut,
    finish: {},
    outcome: { kind: OutcomeKind.PARTIAL, reason: 'image_malformed' },
    detail: `the image ends at byte ${cut.length}`,
  },
  {
    sentence: 'bytes that are no LiME image are partial although everything else fits',
    stored: noise(5, 100_000),
    finish: {},
    outcome: { kind: OutcomeKind.PARTIAL, reason: 'image_malformed' },
    detail: 'no LiME header at byte 0',
  },
];

test.each(rows)('$sentence', async ({ stored, finish, outcome, detail }) => {
  await using rig = await Rig.start(parties);
  const { agent, operator, captureId } = await rig.ordered();
  const upload = await agent.open(captureId);
  await upload.chunks(stored);
  await upload.finish(stored, finish);
  expect(await upload.ended()).toBeUndefined();
  const capture = await rig.done(captureId);
  expect(capture.outcome).toMatchObject(outcome);
  expect(capture.outcome?.detail).toContain(detail);
  expect(capture.analysis?.reason).toBe(outcome.kind === OutcomeKind.PARTIAL ? 'image_partial' : 'image_failed');
  expect(rig.evidence(captureId, 'image.PARTIAL.lime').equals(stored)).toBe(true);
  expect(rig.manifest(captureId).outcome).toMatchObject({ reason: outcome.reason });
  expect(existsSync(join(rig.dataDir, 'evidence', captureId, 'image.lime'))).toBe(false);
  expect(await rig.metrics()).toContain(
    'kcorder_captures_ended_total{trigger="manual",outcome="complete",reason=""} 0',
  );
  expect((await operator.listNodes({})).nodes[0]?.runningCaptureId).toBe('');
});

test.each([
  {
    sentence: 'AVML that failed before its first byte',
    finish: { exitCode: 1, stderrTail: 'locked down /proc/kcore' },
    detail: 'locked down',
  },
  { sentence: 'AVML that ended well without a byte', finish: {}, detail: 'without a byte' },
  {
    sentence: 'AVML that was killed before its first byte',
    finish: { exitCode: -1, signal: 'SIGKILL' },
    detail: 'SIGKILL',
  },
])('$sentence leaves a failed capture, no evidence, and nothing else', async ({ finish, detail }) => {
  await using rig = await Rig.start(parties);
  const { agent, operator, captureId } = await rig.ordered();
  const upload = await agent.open(captureId);
  await upload.finish(Buffer.alloc(0), finish);
  expect(await upload.ended()).toBeUndefined();
  const capture = await rig.done(captureId);
  expect(capture).toMatchObject({
    outcome: { kind: OutcomeKind.FAILED, reason: 'acquirer_failed' },
    analysis: { reason: 'no_image' },
    sha256: '',
  });
  expect(capture.outcome?.detail).toContain(detail);
  expect(existsSync(join(rig.dataDir, 'evidence', captureId))).toBe(false);
  await expect(async () => {
    for await (const _ of operator.downloadEvidence({ captureId })) return;
  }).rejects.toMatchObject({ code: 'evidence_missing' });
});

test.each([
  { sentence: 'lost bytes', damage: (path: string) => truncateSync(path, 1000) },
  { sentence: 'lost the file', damage: (path: string) => rmSync(path) },
])(
  'a disk that $sentence that were acknowledged is found out: the capture fails and the node is free again',
  async ({ damage }) => {
    await using rig = await Rig.start(parties);
    const { agent, captureId } = await rig.ordered();
    const upload = await agent.open(captureId);
    await upload.chunks(image, 0, 500_000);
    await upload.acknowledged(500_000);
    await rig.stopCollector();
    damage(join(rig.dataDir, 'evidence', captureId, 'image.part'));
    await rig.startCollector();
    const again = rig.agent();
    await again.attach({ runningCaptureIds: [captureId] });
    expect((await again.open(captureId, { attempt: 2 })).fault).toMatchObject({ code: 'evidence_missing' });
    const capture = await rig.done(captureId);
    expect(capture.outcome).toMatchObject({ kind: OutcomeKind.FAILED, reason: 'storage_failed' });
    expect(capture.outcome?.detail).toContain('500000');
  },
);
