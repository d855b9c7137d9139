import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { expect, test } from 'vitest';
import { makeScratch, until } from '../../collector/testing/files.ts';
import { type ImageFile, writeImage } from './image.ts';
import { Random, seedOf } from './random.ts';
import { FaultRig } from './rig.ts';

const rounds = 10;

/** The capture is partial, never complete; what was durable is kept with its hash under a name that says so. */
async function expectPartial(rig: FaultRig, captureId: string, image: ImageFile): Promise<void> {
  const capture = await rig.done(captureId);
  const { outcome, sha256, durableBytes } = capture;
  const nothingArrived = durableBytes === 0n;
  expect(outcome?.kind).toBe(nothingArrived ? OutcomeKind.FAILED : OutcomeKind.PARTIAL);
  expect(outcome?.reason).toBe(nothingArrived ? 'acquirer_failed' : 'acquirer_died');
  expect(outcome?.detail).not.toBe('');
  expect(Number(durableBytes)).toBeLessThan(image.bytes);
  expect(capture.analysis?.reason).toBe(nothingArrived ? 'no_image' : 'image_partial');
  if (!nothingArrived) expect(rig.manifest(captureId).image).toMatchObject({ bytes: Number(durableBytes), sha256 });
}

test(`an agent killed with -9 at ${rounds} random bytes: partial each time, its prefix kept, and the next capture is another one`, async () => {
  const seed = seedOf('agent killed');
  const random = new Random(seed);
  using scratch = makeScratch();
  const image = writeImage(scratch.dir, seed, 24 << 20);
  await using rig = await FaultRig.start({ imagePath: image.path });
  const ids = new Set<string>();
  for (let round = 0; round < rounds; round += 1) {
    const captureId = await rig.order();
    ids.add(captureId);
    await rig.atByte(captureId, random.below(image.bytes), () => rig.agent.signal('SIGKILL'));
    await rig.agent.ended;
    await rig.startAgent();
    await expectPartial(rig, captureId, image);
  }
  await rig.checkInvariants();
  expect(ids.size).toBe(rounds);
  expect(rig.fifos()).toEqual([]);
  expect(await rig.metric('kcorder_captures_ended_total{trigger="manual",outcome="complete",reason=""}')).toBe(0);
  const last = await rig.order();
  expect(await rig.done(last)).toMatchObject({ outcome: { kind: OutcomeKind.COMPLETE }, sha256: image.sha256 });
});

test(`AVML killed with -9 at ${rounds} random moments: partial each time, and the agent goes on`, async () => {
  const seed = seedOf('AVML killed');
  const random = new Random(seed);
  using scratch = makeScratch();
  const image = writeImage(scratch.dir, seed, 24 << 20);
  await using rig = await FaultRig.start({ imagePath: image.path, bytesPerSecond: 48 << 20 });
  for (let round = 0; round < rounds; round += 1) {
    const captureId = await rig.order();
    const pid = await rig.avmlPid();
    await rig.atByte(captureId, random.below(Math.floor(image.bytes / 2)), () => process.kill(pid, 'SIGKILL'));
    const { outcome } = await rig.done(captureId);
    await expectPartial(rig, captureId, image);
    if (outcome?.kind === OutcomeKind.PARTIAL) {
      expect(outcome.detail).toContain('SIGKILL');
      expect(rig.manifest(captureId).acquisition?.end).toMatchObject({ signal: 'SIGKILL', exitCode: -1 });
    }
  }
  expect(rig.agent.running).toBe(true);
  await until(() => rig.fifos().length === 0);
  await rig.checkInvariants();
});

test('AVML that fails at its end leaves a partial image, with its exit code and its last words in the manifest', async () => {
  using scratch = makeScratch();
  const image = writeImage(scratch.dir, 1, 8 << 20);
  await using rig = await FaultRig.start({ imagePath: image.path, avmlExitCode: 1 });
  const captureId = await rig.order();
  const { outcome, durableBytes } = await rig.done(captureId);
  expect(outcome).toMatchObject({ kind: OutcomeKind.PARTIAL, reason: 'acquirer_failed' });
  expect(outcome?.detail).toContain('exit code 1 after');
  expect(outcome?.detail).toContain('unable to read /proc/kcore');
  expect(durableBytes).toBe(BigInt(image.bytes));
  expect(rig.manifest(captureId).acquisition?.end).toMatchObject({
    exitCode: 1,
    stderrTail: 'unable to read /proc/kcore\n',
  });
  expect(
    await rig.metric('kcorder_captures_ended_total{trigger="manual",outcome="partial",reason="acquirer_failed"}'),
  ).toBe(1);
  await rig.checkInvariants();
});
