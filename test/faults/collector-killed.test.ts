import { existsSync, watch } from 'node:fs';
import { join } from 'node:path';
import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { expect, test } from 'vitest';
import { makeScratch, until } from '../../collector/testing/files.ts';
import { type ImageFile, recordedImage, writeImage } from './image.ts';
import { Random, seedOf } from './random.ts';
import { FaultRig } from './rig.ts';

/** Captures `image` once for every entry, and kills the collector as often in it, at random bytes of what crosses the wire. */
async function killAtRandom(rig: FaultRig, image: ImageFile, random: Random, killsPerCapture: readonly number[]) {
  for (const kills of killsPerCapture) {
    const captureId = await rig.order();
    let passed = 0;
    for (const target of random.ascending(kills, image.bytes)) {
      await rig.atByte(captureId, target - passed, () => rig.collector.signal('SIGKILL'));
      passed = target;
      expect(await rig.collector.ended).toMatchObject({ signal: 'SIGKILL' });
      await rig.checkInvariants();
      await rig.startCollector();
    }
    const capture = await rig.done(captureId);
    expect(capture).toMatchObject({ outcome: { kind: OutcomeKind.COMPLETE }, sha256: image.sha256 });
    await rig.checkInvariants();
    const { acquisition, image: stored } = rig.manifest(captureId);
    expect(stored).toMatchObject({ bytes: image.bytes, sha256: image.sha256 });
    expect(acquisition?.interruptions).toHaveLength(capture.interruptions.length);
  }
}

test('a collector killed with -9 at 20 random bytes of 7 captures: every image is complete, with the SHA-256 of its source', {
  timeout: 900_000,
}, async () => {
  const recorded = process.env.KCORDER_IMAGE;
  const seed = seedOf('collector killed');
  using scratch = makeScratch();
  const image = recorded === undefined ? writeImage(scratch.dir, seed, 96 << 20) : await recordedImage(recorded);
  await using rig = await FaultRig.start({ imagePath: image.path });
  await killAtRandom(rig, image, new Random(seed), [3, 3, 3, 3, 3, 3, 2]);
});

test.each([['image.lime'], ['manifest.json.part'], ['manifest.json']])(
  'a collector killed with -9 while it seals, when %s appears: the sealing is done again, and the capture is complete',
  async (name) => {
    const seed = seedOf('collector killed while sealing');
    using scratch = makeScratch();
    const image = writeImage(scratch.dir, seed, 8 << 20);
    await using rig = await FaultRig.start({ imagePath: image.path });
    const captureId = await rig.order();
    const directory = join(rig.dataDir, 'evidence', captureId);
    await until(() => existsSync(directory));
    const watcher = watch(directory, (_, changed) => {
      if (changed === name) rig.collector.signal('SIGKILL');
    });
    expect(await rig.collector.ended).toMatchObject({ signal: 'SIGKILL' });
    watcher.close();
    await rig.checkInvariants();
    await rig.startCollector();
    expect(await rig.done(captureId)).toMatchObject({ outcome: { kind: OutcomeKind.COMPLETE }, sha256: image.sha256 });
    await rig.checkInvariants();
  },
);
