import { statSync } from 'node:fs';
import { join } from 'node:path';
import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { limeImage } from '../testing/lime-image.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const sizeOf = (rig: Rig, name: string): number => statSync(join(rig.dataDir, name)).size;
const mostReopens = 100;
/** About a megabyte: as much as one message carries. */
const containers = Array.from({ length: 4_096 }, (_, index) => ({
  podNamespace: 'namespace',
  podName: `${index}`.padEnd(120, 'p'),
  podUid: '0'.repeat(36),
  containerName: 'container',
  containerId: 'c'.repeat(64),
}));

test('an upload that is opened 280 times for no byte ends with its reason, and its start is on record once', async () => {
  await using rig = await Rig.start(parties);
  const { agent, operator, captureId } = await rig.ordered();
  const ends: (string | undefined)[] = [];
  for (let attempt = 1; attempt <= 280; attempt += 1) {
    // A refused message is small: the collector has read all of the large ones by then.
    const upload = await agent.open(captureId, { attempt, containers: attempt > mostReopens + 2 ? [] : containers });
    ends.push(upload.fault?.code);
    upload.cancel();
  }
  expect(ends.indexOf('capture_ended')).toBe(mostReopens + 1);
  expect(new Set(ends.slice(mostReopens + 1))).toEqual(new Set(['capture_ended']));
  const capture = await rig.done(captureId);
  expect(capture.outcome).toMatchObject({
    kind: OutcomeKind.FAILED,
    reason: 'network_stall',
    detail: 'the upload was opened 101 times without 65536 more bytes becoming durable',
  });
  await rig.stopCollector();
  // One start of a megabyte, where each used to be kept.
  expect(sizeOf(rig, 'kcorder.db')).toBeLessThan(4 << 20);
  await rig.startCollector();
  expect((await operator.listCaptures({})).captures.map(({ id }) => id)).toEqual([captureId]);
});

test('an upload whose every stream brings some of the image is reopened as often as it takes', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const step = 64 << 10;
  const streams = 3 * mostReopens;
  const image = limeImage(1, [streams * step]);
  for (let attempt = 1; attempt <= streams; attempt += 1) {
    const upload = await agent.open(captureId, { attempt });
    expect(upload.fault).toBeUndefined();
    await upload.chunks(image, (attempt - 1) * step, attempt * step);
    await upload.acknowledged(attempt * step);
    upload.cancel();
  }
  const last = await agent.open(captureId, { attempt: streams + 1 });
  await last.chunks(image, streams * step);
  await last.finish(image);
  expect(await last.ended()).toBeUndefined();
  const capture = await rig.done(captureId);
  expect(capture.outcome?.kind).toBe(OutcomeKind.COMPLETE);
  expect(capture.interruptions).toHaveLength(256);
  expect(rig.manifest(captureId).custody).toHaveLength(streams + 3);
});
