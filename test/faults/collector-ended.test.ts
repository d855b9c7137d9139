import { OutcomeKind, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { expect, test } from 'vitest';
import { makeScratch } from '../../collector/testing/files.ts';
import { freePort } from '../../collector/testing/free-port.ts';
import { writeImage } from './image.ts';
import { seedOf } from './random.ts';
import { FaultRig } from './rig.ts';

test('SIGTERM during a capture: the collector ends well within 20 s, and the capture is complete after its restart', async () => {
  const seed = seedOf('SIGTERM');
  using scratch = makeScratch();
  const image = writeImage(scratch.dir, seed, 48 << 20);
  await using rig = await FaultRig.start({ imagePath: image.path, bytesPerSecond: 24 << 20 });
  const captureId = await rig.order();
  await rig.atByte(captureId, image.bytes / 3, () => rig.collector.signal('SIGTERM'));
  const askedMs = performance.now();
  expect(await rig.collector.ended).toEqual({ code: 0, signal: null });
  const tookMs = performance.now() - askedMs;
  process.stdout.write(`SIGTERM: ended after ${Math.round(tookMs)} ms\n`);
  expect(tookMs).toBeLessThan(20_000);
  await rig.checkInvariants();
  await rig.startCollector();
  const capture = await rig.done(captureId);
  expect(capture).toMatchObject({ outcome: { kind: OutcomeKind.COMPLETE }, sha256: image.sha256 });
  expect(capture.interruptions).toMatchObject([{ cause: 'the collector was restarted' }]);
  await rig.checkInvariants();
});

test('a second collector on the same data refuses to start and says why; the first one is not disturbed', async () => {
  using scratch = makeScratch();
  const image = writeImage(scratch.dir, 1, 16 << 20);
  await using rig = await FaultRig.start({ imagePath: image.path, bytesPerSecond: 16 << 20 });
  const captureId = await rig.order();
  const ports = [await freePort(), await freePort()];
  const second = rig.spawnCollector({
    KCORDER_LISTEN: `127.0.0.1:${ports[0]}`,
    KCORDER_METRICS_LISTEN: `127.0.0.1:${ports[1]}`,
  });
  expect(await second.ended).toEqual({ code: 1, signal: null });
  expect(second.errors).toContain('"code":"database_unusable"');
  expect(second.errors).toContain('is in use by another collector; end that one first');
  const capture = await rig.done(captureId);
  expect(capture).toMatchObject({ phase: Phase.DONE, outcome: { kind: OutcomeKind.COMPLETE }, interruptions: [] });
});

test('a collector with a wrong environment names every error at once and does not start', async () => {
  using scratch = makeScratch();
  const image = writeImage(scratch.dir, 1, 1 << 20);
  await using rig = await FaultRig.start({ imagePath: image.path });
  const wrong = rig.spawnCollector({ KCORDER_STALL_SECONDS: '-1', KCORDER_DATA_DIRS: '/x', KCORDER_LISTEN: 'nowhere' });
  expect(await wrong.ended).toEqual({ code: 2, signal: null });
  for (const error of ['KCORDER_DATA_DIRS is unknown', 'KCORDER_STALL_SECONDS=', 'KCORDER_LISTEN='])
    expect(wrong.errors).toContain(error);
});
