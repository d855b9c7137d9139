import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { limeImage, noise } from '../testing/lime-image.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const image = limeImage(1, [100_000, 1 << 20, 300_001]);
const sha256 = createHash('sha256').update(image).digest('hex');
const half = 600_000;

test('an image that arrives whole is complete: stored byte for byte, named and sealed with its SHA-256', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const upload = await agent.open(captureId);
  expect(upload.resume).toMatchObject({ epoch: 1, durableOffset: 0n });
  await upload.chunks(image);
  await upload.finish(image);
  expect(await upload.ended()).toBeUndefined();
  expect(Buffer.from(upload.sealed?.sha256 ?? []).toString('hex')).toBe(sha256);
  const capture = await rig.done(captureId);
  expect(capture).toMatchObject({
    outcome: { kind: OutcomeKind.COMPLETE },
    sha256,
    durableBytes: BigInt(image.length),
  });
  expect(capture.leftOutMemory).toEqual([]);
  expect(rig.manifest(captureId).acquisition).not.toHaveProperty('leftOutMemory');
  expect(rig.evidence(captureId, 'image.lime').equals(image)).toBe(true);
  expect(readdirSync(join(rig.dataDir, 'evidence', captureId)).sort()).toEqual(['image.lime', 'manifest.json']);
});

test('memory that AVML leaves out is told beside a complete image, and no kind of it that is no name', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const lies = Array.from({ length: 6 }, () => ({ kind: 'a\u001b[2J', bytes: 2n ** 52n - 1n }));
  const leftOutMemory = [{ kind: 'kmem', bytes: 8n << 30n }, { kind: 'nothing', bytes: 0n }, ...lies];
  const upload = await agent.open(captureId, { leftOutMemory });
  await upload.chunks(image);
  await upload.finish(image);
  const capture = await rig.done(captureId);
  expect(capture.outcome?.kind).toBe(OutcomeKind.COMPLETE);
  const kept = rig.manifest(captureId).acquisition?.leftOutMemory;
  expect(kept).toEqual([
    { kind: 'kmem', bytes: 8 * 2 ** 30 },
    ...Array.from({ length: 6 }, () => ({ kind: 'unnamed', bytes: 2 ** 52 - 1 })),
  ]);
  expect(capture.leftOutMemory.map(({ kind, bytes }) => ({ kind, bytes: Number(bytes) }))).toEqual(kept);
});

test('a seal that got lost is said again to the acquisition that it belongs to, and to no other', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const upload = await agent.open(captureId);
  await upload.chunks(image);
  await upload.finish(image);
  expect(await upload.ended()).toBeUndefined();
  const again = await agent.open(captureId, { attempt: 2 });
  expect(again.resume).toMatchObject({ durableOffset: BigInt(image.length) });
  expect(await again.ended()).toBeUndefined();
  expect(Buffer.from(again.sealed?.sha256 ?? []).toString('hex')).toBe(sha256);
  const other = await agent.open(captureId, { attempt: 3, acquisitionId: 'acquisition-2' });
  expect(other.fault).toMatchObject({ code: 'capture_ended' });
});

test('acknowledged is only what is durable: after an acknowledgement a collector that starts anew goes on from there', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const upload = await agent.open(captureId);
  await upload.chunks(image, 0, half);
  await upload.acknowledged(half);
  await rig.stopCollector();
  expect((await upload.ended())?.retry).toBe(true);
  await rig.startCollector();
  const again = rig.agent();
  await again.attach({ runningCaptureIds: [captureId] });
  const second = await again.open(captureId, { attempt: 2 });
  expect(second.resume).toMatchObject({ epoch: 2, durableOffset: BigInt(half) });
  await second.chunks(image, half);
  await second.finish(image);
  expect(await second.ended()).toBeUndefined();
  const capture = await rig.done(captureId);
  expect(capture).toMatchObject({ outcome: { kind: OutcomeKind.COMPLETE }, sha256 });
  expect(capture.interruptions).toMatchObject([{ offset: BigInt(half), cause: 'the collector was restarted' }]);
  expect(rig.manifest(captureId).acquisition?.interruptions).toMatchObject([{ offsetBytes: half }]);
});

test.each([
  {
    sentence: 'a gap is refused and the expected offset named',
    chunk: { offset: half + 1, data: image.subarray(half + 1, half + 100) },
    code: 'offset_gap',
    message: `byte ${half} is expected`,
  },
  {
    sentence: 'a chunk whose checksum does not fit is refused',
    chunk: { offset: half, data: image.subarray(half, half + 100), checksum: 1 },
    code: 'checksum_mismatch',
    message: 'send it again',
  },
  {
    sentence: 'a chunk of more than 1 MiB is refused',
    chunk: { offset: half, data: Buffer.alloc((1 << 20) + 1) },
    code: 'invalid_argument',
    message: 'kcorder.v1.Chunk.data has 1048577 bytes: at most 1048576 are taken',
    what: 'Chunk',
  },
  {
    sentence: 'a chunk without a byte is refused',
    chunk: { offset: half, data: Buffer.alloc(0) },
    code: 'invalid_argument',
    message: 'it has no byte',
  },
])('$sentence, and the capture goes on with the next attempt', async ({ chunk, code, message, what }) => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const upload = await agent.open(captureId);
  await upload.chunks(image, 0, half);
  await upload.acknowledged(half);
  await upload.chunk(chunk.offset, chunk.data, chunk.checksum);
  const fault = await upload.ended();
  expect(fault).toMatchObject({ code });
  expect(fault?.message).toContain(message);
  expect(fault?.message).toContain(what ?? captureId);
  const second = await agent.open(captureId, { attempt: 2, heldFrom: BigInt(half) });
  expect(second.resume?.durableOffset).toBe(BigInt(half));
  await second.chunks(image, half);
  await second.finish(image);
  expect(await second.ended()).toBeUndefined();
  expect(await rig.done(captureId)).toMatchObject({ outcome: { kind: OutcomeKind.COMPLETE }, sha256 });
  expect(await rig.metrics()).toContain(
    `kcorder_call_faults_total{method="/kcorder.v1.IngestService/Upload",code="${code}"} 1`,
  );
});

test('bytes that are sent again and are the same are acknowledged again', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const upload = await agent.open(captureId);
  await upload.chunks(image, 0, half);
  await upload.acknowledged(half);
  const before = upload.acknowledgements;
  await upload.chunk(half - 1000, image.subarray(half - 1000, half));
  await upload.acknowledged(half);
  while (upload.acknowledgements === before) await new Promise(setImmediate);
  await upload.chunk(half - 500, image.subarray(half - 500, half + 500));
  await upload.chunks(image, half + 500);
  await upload.finish(image);
  expect(await upload.ended()).toBeUndefined();
  expect(rig.evidence(captureId, 'image.lime').equals(image)).toBe(true);
});

test.each([
  {
    sentence: 'bytes that are sent again and differ end the capture as failed',
    chunk: { offset: half - 100, data: noise(99, 100) },
    heldFrom: 0n,
    reason: 'integrity_conflict',
    kind: OutcomeKind.FAILED,
  },
  {
    sentence: 'more bytes than the node declared memory for end the capture as partial',
    chunk: { offset: half, data: noise(99, 1 << 20) },
    heldFrom: 0n,
    ramBytes: 4096,
    reason: 'ceiling_exceeded',
    kind: OutcomeKind.PARTIAL,
  },
])('$sentence, what was acknowledged before is kept', async ({ chunk, ramBytes, reason, kind }) => {
  await using rig = await Rig.start(parties);
  const [agent, operator] = [rig.agent(), rig.operator()];
  await agent.attach(
    ramBytes === undefined ? {} : { kernel: { ramRanges: [{ start: 0n, end: BigInt(ramBytes) - 1n }] } },
  );
  await operator.createCapture({ nodeName: 'n1', reason: 'a test', idempotencyKey: 'key' });
  const captureId = await agent.ordered();
  const upload = await agent.open(captureId);
  await upload.chunks(image, 0, half);
  await upload.acknowledged(half);
  await upload.chunk(chunk.offset, chunk.data);
  expect(await upload.ended()).toMatchObject({ code: reason });
  const capture = await rig.done(captureId);
  expect(capture).toMatchObject({ outcome: { kind, reason }, durableBytes: BigInt(half) });
  expect(rig.evidence(captureId, 'image.PARTIAL.lime').equals(image.subarray(0, half))).toBe(true);
  expect(await agent.open(captureId, { attempt: 2 })).toMatchObject({ fault: { code: 'capture_ended' } });
});

test('an agent that no longer holds the bytes that come next cannot go on: the capture fails and says so', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const upload = await agent.open(captureId);
  await upload.chunks(image, 0, half);
  await upload.acknowledged(half);
  upload.cancel();
  const second = await agent.open(captureId, { attempt: 2, heldFrom: BigInt(half + 1) });
  expect(second.fault).toMatchObject({ code: 'integrity_conflict' });
  expect(second.fault?.message).toContain(`the agent holds bytes from ${half + 1} on only`);
  expect(await rig.done(captureId)).toMatchObject({
    outcome: { kind: OutcomeKind.FAILED, reason: 'integrity_conflict' },
  });
});
