import { setTimeout as sleep } from 'node:timers/promises';
import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { expect, test } from 'vitest';
import { makeScratch, until } from '../../collector/testing/files.ts';
import { noise } from '../../collector/testing/lime-image.ts';
import { writeImage } from './image.ts';
import { Random, seedOf } from './random.ts';
import { FaultRig } from './rig.ts';

/** How long the cut lasts; a minute and five behave alike, since nothing on the way counts seconds before the stall limit. */
const cutMs = 10_000;

test(`a connection that is cut for ${cutMs / 1000} s: AVML waits, nothing is lost, the capture is complete`, async () => {
  const seed = seedOf('connection cut');
  using scratch = makeScratch();
  // More than the agent's window holds, so that AVML has to wait.
  const image = writeImage(scratch.dir, seed, 128 << 20);
  await using rig = await FaultRig.start({ imagePath: image.path });
  const captureId = await rig.order();
  const avml = await rig.avmlPid();
  await rig.atByte(captureId, new Random(seed).below(image.bytes / 4), () => {
    rig.wire.isDown = true;
    rig.wire.cut();
  });
  await sleep(cutMs);
  expect(() => process.kill(avml, 0)).not.toThrow();
  const held = await rig.capture(captureId);
  expect(Number(held?.durableBytes)).toBeLessThan(image.bytes / 2);
  await rig.checkInvariants();
  rig.wire.isDown = false;
  const capture = await rig.done(captureId);
  expect(capture).toMatchObject({ outcome: { kind: OutcomeKind.COMPLETE }, sha256: image.sha256 });
  expect(capture.interruptions).toMatchObject([{ offset: held?.durableBytes, cause: 'the connection broke' }]);
  expect(await rig.metric('kcorder_upload_interruptions_total')).toBe(1);
  await rig.checkInvariants();
});

test('a connection that is reset again and again in one capture: complete, with an interruption for each', async () => {
  const seed = seedOf('connection reset');
  using scratch = makeScratch();
  const image = writeImage(scratch.dir, seed, 48 << 20);
  await using rig = await FaultRig.start({ imagePath: image.path, bytesPerSecond: 24 << 20 });
  const captureId = await rig.order();
  let passed = 0;
  for (const target of new Random(seed).ascending(5, Math.floor(image.bytes / 2))) {
    await rig.atByte(captureId, target - passed, () => rig.wire.cut());
    passed = target;
  }
  const capture = await rig.done(captureId);
  expect(capture).toMatchObject({ outcome: { kind: OutcomeKind.COMPLETE }, sha256: image.sha256 });
  expect(capture.interruptions.length).toBeGreaterThan(0);
  await rig.checkInvariants();
});

test('a half-open connection: both sides notice within 30 s, the old stream is fenced, the capture is complete', async () => {
  const seed = seedOf('half-open');
  using scratch = makeScratch();
  const image = writeImage(scratch.dir, seed, 48 << 20);
  await using rig = await FaultRig.start({ imagePath: image.path });
  const captureId = await rig.order();
  await rig.atByte(captureId, image.bytes / 2, () => rig.wire.swallow());
  const connections = rig.wire.connections;
  const swallowedMs = performance.now();
  await until(() => rig.wire.connections > connections);
  const agentNoticedMs = performance.now() - swallowedMs;
  await until(() => rig.wire.deadCollectorEnds === rig.wire.deadConnections);
  const collectorNoticedMs = performance.now() - swallowedMs;
  process.stdout.write(
    `half-open: agent ${Math.round(agentNoticedMs)} ms, collector ${Math.round(collectorNoticedMs)} ms\n`,
  );
  expect(agentNoticedMs).toBeLessThan(30_000);
  expect(collectorNoticedMs).toBeLessThan(30_000);
  // The order for the kernel's types went into the dead connection too: its patience, two minutes, is for the analysis alone.
  const capture = await rig.sealed(captureId);
  expect(capture).toMatchObject({ outcome: { kind: OutcomeKind.COMPLETE }, sha256: image.sha256 });
  expect(capture.interruptions).toHaveLength(1);
  await rig.checkInvariants();
});

test('a slow link, and a marker in memory that never crosses it in the clear', async () => {
  const seed = seedOf('marker');
  using scratch = makeScratch();
  const image = writeImage(scratch.dir, seed, 4 << 20);
  // What limeImage puts into the first record: a run of it in the clear would be found.
  const marker = noise(seed, 64);
  await using rig = await FaultRig.start({ imagePath: image.path });
  rig.wire.delayMs = 20;
  rig.wire.watchFor(marker);
  const captureId = await rig.order();
  expect(await rig.done(captureId)).toMatchObject({ outcome: { kind: OutcomeKind.COMPLETE }, sha256: image.sha256 });
  expect(rig.wire.sentBytes).toBeGreaterThan(image.bytes);
  expect(rig.wire.sawMarker).toBe(false);
  rig.wire.look(Buffer.concat([Buffer.from('in the clear: '), marker.subarray(0, 32)]));
  rig.wire.look(marker.subarray(32));
  expect(rig.wire.sawMarker).toBe(true);
});
