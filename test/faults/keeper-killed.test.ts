import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EvidenceService, StoragePlace } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { expect, test } from 'vitest';
import { makeScratch, until } from '../../collector/testing/files.ts';
import { writeImage } from './image.ts';
import { seedOf } from './random.ts';
import { FaultRig } from './rig.ts';

test('a collector that is killed while it packs an image goes on after its restart: stored, intact, nothing left over', async () => {
  using scratch = makeScratch();
  const image = writeImage(scratch.dir, seedOf('keeper killed'), 96 << 20);
  await using rig = await FaultRig.start({ imagePath: image.path, settings: { KCORDER_SPOOL_SECONDS: '0' } });
  const captureId = await rig.order();
  const folder = join(rig.dataDir, 'evidence', captureId);
  const drafts = (): string[] =>
    existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.draft')) : [];
  await until(() => drafts().length > 0);
  await rig.collector.kill();
  // The plain image is there as long as the store has not said that it has the packed one.
  expect(readdirSync(folder)).toEqual(expect.arrayContaining(['image.lime', 'manifest.json']));
  await rig.startCollector();
  const capture = await until(async () => {
    const found = await rig.capture(captureId);
    return found?.storage?.place === StoragePlace.STORE && !readdirSync(folder).includes('image.lime') && found;
  });
  expect(capture.sha256).toBe(image.sha256);
  const verdict = await rig.askOf(EvidenceService, async ({ verifyEvidence }) => {
    let last: unknown;
    for await (const answer of verifyEvidence({ captureId })) last = answer.verdict;
    return last;
  });
  expect(verdict).toMatchObject({ intact: true, sha256: image.sha256 });
  expect(drafts()).toEqual([]);
});
