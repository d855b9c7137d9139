import type { ClientHttp2Stream } from 'node:http2';
import { crc32 } from 'node:zlib';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { UploadRequestSchema } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { limeImage } from '../testing/lime-image.ts';
import { framed, rawCall, rawSession } from '../testing/raw-caller.ts';
import { Parties, Rig } from '../testing/rig.ts';

// A node sends a part of an image and takes none of the answers, so that its stream cannot end.

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const image = limeImage(3, [300_000, 100_000]);
const half = 200_000;

type Message = NonNullable<MessageInitShape<typeof UploadRequestSchema>['message']>;

function send(stream: ClientHttp2Stream, message: Message): void {
  const bytes = Buffer.from(toBinary(UploadRequestSchema, create(UploadRequestSchema, { message })));
  stream.write(framed(bytes.length, bytes));
}

function sendChunk(stream: ClientHttp2Stream, from: number, to: number): void {
  const data = image.subarray(from, to);
  send(stream, { case: 'chunk', value: { offset: BigInt(from), data, crc32: crc32(data) } });
}

/** An upload whose answers are not taken, once half of the image is durable; more answers are waiting than a stream is given at once. */
async function deafUpload(rig: Rig, captureId: string) {
  const node = rawSession(rig.port, parties.authority.ca, parties.node('n1'), { initialWindowSize: 0 });
  const { stream } = rawCall(node, '/kcorder.v1.IngestService/Upload', { leaveAnswers: true });
  const start = { acquirer: { name: 'avml', version: '0.21.0', sha256: 'cd'.repeat(32) }, bootId: 'boot-1' };
  send(stream, { case: 'open', value: { captureId, acquisitionId: 'acquisition-1', attempt: 1, start } });
  const durable = async (bytes: number): Promise<void> => {
    await until(async () => {
      const { capture } = await rig.operator().getCapture({ captureId });
      return capture?.durableBytes === BigInt(bytes);
    });
  };
  sendChunk(stream, 0, half - 1);
  await durable(half - 1);
  // What is stored already is acknowledged again, each time.
  for (let i = 0; i < 8; i += 1) sendChunk(stream, half - 2, half - 1);
  sendChunk(stream, half - 1, half);
  await durable(half);
  return { stream, [Symbol.dispose]: () => node.destroy() };
}

test('a capture is canceled, and what is durable kept, although its node takes no answers', async () => {
  await using rig = await Rig.start(parties);
  const { operator, captureId } = await rig.ordered();
  using _ = await deafUpload(rig, captureId);
  const { capture } = await operator.cancelCapture({ captureId });
  expect(capture?.outcome).toMatchObject({ kind: OutcomeKind.CANCELED });
  await rig.done(captureId);
  expect(rig.evidence(captureId, 'image.PARTIAL.lime').equals(image.subarray(0, half))).toBe(true);
});

test('a node whose stream is stuck gets in with the next one, and nothing of the old one is stored after that', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  using deaf = await deafUpload(rig, captureId);
  const second = await agent.open(captureId, { attempt: 2 });
  expect(second.resume).toMatchObject({ epoch: 2, durableOffset: BigInt(half) });
  sendChunk(deaf.stream, half, half + 1000);
  await second.chunks(image, half);
  await second.finish(image);
  expect(await second.ended()).toBeUndefined();
  expect(rig.evidence(captureId, 'image.lime').equals(image)).toBe(true);
});

test('bytes that differ from what is stored end the capture, whether or not anybody takes that answer', async () => {
  await using rig = await Rig.start(parties);
  const { captureId } = await rig.ordered();
  using deaf = await deafUpload(rig, captureId);
  const data = Buffer.from([(image[half - 1] ?? 0) ^ 1]);
  send(deaf.stream, { case: 'chunk', value: { offset: BigInt(half - 1), data, crc32: crc32(data) } });
  expect(await rig.done(captureId)).toMatchObject({
    outcome: { kind: OutcomeKind.FAILED, reason: 'integrity_conflict' },
  });
});
