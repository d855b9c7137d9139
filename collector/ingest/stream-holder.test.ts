import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { limeImage, noise } from '../testing/lime-image.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const image = limeImage(2, [700_000, 300_000]);
const half = 500_000;

test('a later attempt fences the stream that is still open; what that one sends afterwards is not stored', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const first = await agent.open(captureId);
  await first.chunks(image, 0, half);
  await first.acknowledged(half);
  const second = await agent.open(captureId, { attempt: 2 });
  expect(second.resume).toMatchObject({ epoch: 2, durableOffset: BigInt(half) });
  await first.chunk(half, noise(7, 1000));
  expect(await first.ended()).toMatchObject({ code: 'stream_fenced' });
  await second.chunks(image, half);
  await second.finish(image);
  expect(await second.ended()).toBeUndefined();
  expect(rig.evidence(captureId, 'image.lime').equals(image)).toBe(true);
});

test('a stream that works and is left for a newer connection is no interruption, and ends well', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const first = await agent.open(captureId);
  await first.chunks(image, 0, half);
  await first.acknowledged(half);
  const second = await agent.open(captureId, { attempt: 2, moved: true });
  expect(second.resume).toMatchObject({ epoch: 2, durableOffset: BigInt(half) });
  // No fault, but no seal either.
  expect(await first.ended()).toMatchObject({ message: 'the stream ended without a seal' });
  await second.chunks(image, half);
  await second.finish(image);
  expect(await second.ended()).toBeUndefined();
  expect(rig.evidence(captureId, 'image.lime').equals(image)).toBe(true);
  const { acquisition, custody } = rig.manifest(captureId);
  expect(acquisition?.interruptions).toEqual([]);
  expect(JSON.stringify(custody)).toContain('the agent moved to a newer connection');
  const metrics = await rig.metrics();
  expect(metrics).toMatch(/kcorder_upload_interruptions_total 0\n/);
  expect(metrics).not.toMatch(/code="stream_fenced"/);
});

test('a stream that is gone is an interruption, whatever the agent says', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const first = await agent.open(captureId);
  await first.chunks(image, 0, half);
  await first.acknowledged(half);
  first.cancel();
  // Cancels travel: the collector's side of the stream ends a little later, and says so in its log.
  await until(() => rig.logged.some(({ msg }) => msg === 'call ended in a fault'));
  const second = await agent.open(captureId, { attempt: 2, moved: true });
  await second.chunks(image, Number(second.resume?.durableOffset));
  await second.finish(image);
  expect(await second.ended()).toBeUndefined();
  expect(rig.manifest(captureId).acquisition?.interruptions).toMatchObject([{ cause: 'the connection broke' }]);
});

test('a lower or equal attempt is fenced, whether the higher one is open or has ended', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const fifth = await agent.open(captureId, { attempt: 5 });
  expect(fifth.resume).toBeDefined();
  for (const attempt of [4, 5]) {
    expect((await agent.open(captureId, { attempt })).fault).toMatchObject({ code: 'stream_fenced' });
  }
  fifth.halfClose();
  expect(await fifth.ended()).toMatchObject({ code: 'unavailable' });
  expect((await agent.open(captureId, { attempt: 5 })).fault).toMatchObject({ code: 'stream_fenced' });
  expect((await agent.open(captureId, { attempt: 6 })).resume).toMatchObject({ epoch: 2 });
});

test('a second acquisition never gets into an image, whether the first one is connected or not', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const first = await agent.open(captureId);
  await first.chunks(image, 0, half);
  const other = { acquisitionId: 'acquisition-2', attempt: 9 };
  expect((await agent.open(captureId, other)).fault).toMatchObject({ code: 'lease_held' });
  first.cancel();
  await until(async () => (await agent.open(captureId, other)).fault?.code === 'lease_held');
  const again = await agent.open(captureId, { attempt: 2 });
  const from = Number(again.resume?.durableOffset);
  await again.chunks(image, from);
  await again.finish(image);
  expect(await again.ended()).toBeUndefined();
  expect(rig.evidence(captureId, 'image.lime').equals(image)).toBe(true);
});

test('of many attempts at once exactly the highest one goes on, and the image is whole', async () => {
  await using rig = await Rig.start(parties);
  const { captureId } = await rig.ordered();
  const attempts = Array.from({ length: 12 }, (_, index) => index + 1);
  // As after breaks, each comes on a connection of its own.
  const uploads = await Promise.all(attempts.map((attempt) => rig.agent().open(captureId, { attempt })));
  const last = uploads.at(-1);
  await Promise.all(uploads.slice(0, -1).map((upload) => until(() => upload.fault !== undefined)));
  expect(new Set(uploads.slice(0, -1).map(({ fault }) => fault?.code))).toEqual(new Set(['stream_fenced']));
  expect(last?.fault).toBeUndefined();
  await last?.chunks(image);
  await last?.finish(image);
  expect(await last?.ended()).toBeUndefined();
  expect(rig.evidence(captureId, 'image.lime').equals(image)).toBe(true);
});

test.each([
  { sentence: 'a capture that was ordered from another node', captureOf: 'n1', by: 'n2', code: 'not_ordered' },
  { sentence: 'a capture that does not exist', captureOf: undefined, by: 'n2', code: 'not_ordered' },
])('$sentence takes no bytes from a node', async ({ captureOf, by, code }) => {
  await using rig = await Rig.start(parties);
  const captureId = captureOf === undefined ? 'c0-../../x' : (await rig.ordered(captureOf)).captureId;
  const upload = await rig.agent(by).open(captureId);
  expect(upload.fault).toMatchObject({ code });
  expect(upload.fault?.message).toContain(`ordered from node ${by}`);
});

test('a capture that has ended takes no bytes any more', async () => {
  await using rig = await Rig.start(parties);
  const { agent, operator, captureId } = await rig.ordered();
  await operator.cancelCapture({ captureId });
  const upload = await agent.open(captureId);
  expect(upload.fault).toMatchObject({ code: 'capture_ended' });
  expect(upload.fault?.message).toContain('no more bytes are taken');
});

test('a stream that begins without an open is refused', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const upload = agent.upload();
  await upload.chunk(0, image.subarray(0, 100));
  expect(await upload.ended()).toMatchObject({ code: 'invalid_argument' });
  const lacking = agent.upload();
  await lacking.send({ case: 'open', value: { captureId, acquisitionId: 'acquisition-1', attempt: 1 } });
  expect((await lacking.ended())?.message).toContain('lacks its acquisition, attempt or start facts');
  const twice = await agent.open(captureId);
  await twice.send({ case: 'open', value: { captureId, acquisitionId: 'acquisition-1', attempt: 2 } });
  expect((await twice.ended())?.message).toContain('a chunk or a finish is expected');
});

test('a capture that is canceled while bytes arrive ends its stream and keeps what was acknowledged', async () => {
  await using rig = await Rig.start(parties);
  const { agent, operator, captureId } = await rig.ordered();
  const upload = await agent.open(captureId);
  await upload.chunks(image, 0, half);
  await upload.acknowledged(half);
  const { capture } = await operator.cancelCapture({ captureId });
  expect(capture?.outcome).toMatchObject({ kind: OutcomeKind.CANCELED, detail: 'canceled by operator/alice' });
  expect(await upload.ended()).toMatchObject({ code: 'capture_ended' });
  await until(() => agent.cancels.includes(captureId));
  expect(await rig.done(captureId)).toMatchObject({ analysis: { reason: 'image_canceled' } });
  expect(rig.evidence(captureId, 'image.PARTIAL.lime').equals(image.subarray(0, half))).toBe(true);
  await expect(operator.cancelCapture({ captureId })).rejects.toMatchObject({ code: 'capture_ended' });
});
