import type { ClientHttp2Stream } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { receiveWindowBytes } from '@kcorder/proto/bridge/channel.ts';
import type { CallContext } from '@kcorder/proto/bridge/serve.ts';
import { AgentService } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { expect, test } from 'vitest';
import { until } from '../../testing/files.ts';
import { openDoor } from '../../testing/open-door.ts';
import { framed, rawCall } from '../../testing/raw-caller.ts';
import { withoutRest } from './intake.ts';
import { doorLimits } from './limits.ts';

// Attacks with pieces of requests which a paused stream holds.

const attach = '/kcorder.v1.AgentService/Attach';
const upload = '/kcorder.v1.IngestService/Upload';

const over = ({ signal }: CallContext): Promise<void> =>
  new Promise((resolve) => void signal.addEventListener('abort', () => resolve()));

/** A handler that asks for nothing until its call is over. */
async function* deaf(_requests: AsyncIterable<unknown>, context: CallContext) {
  await over(context);
  yield {};
}

/** Sends each piece in a frame of its own until the call has ended. Returns how many were sent. */
async function frameByFrame(stream: ClientHttp2Stream, pieces: Iterable<Buffer>): Promise<number> {
  let sent = 0;
  for (const piece of pieces) {
    if (stream.destroyed || stream.closed) break;
    await new Promise<void>((resolve) => {
      stream.once('close', resolve);
      stream.write(piece, () => {
        stream.off('close', resolve);
        resolve();
      });
    });
    sent += 1;
  }
  return sent;
}

function* bytesOf(message: Buffer): Iterable<Buffer> {
  for (let at = 0; at < message.length; at += 1) yield message.subarray(at, at + 1);
}

test.each([
  { sentence: 'of an attachment', path: attach },
  { sentence: 'of an upload, within the window that was granted', path: upload },
])('a message $sentence in frames of one byte is refused, though nobody reads it', async ({ path }) => {
  using door = await openDoor([AgentService, IngestService], deaf);
  const session = door.session();
  const calls = [1, 2, 3].map(() => rawCall(session, path));
  const sent = await Promise.all(calls.map(({ stream }) => frameByFrame(stream, bytesOf(framed(10_000)))));
  for (const count of sent) expect(count).toBeLessThan(2_000);
  for (const { ended } of calls)
    expect(await ended).toMatchObject({
      status: status.RESOURCE_EXHAUSTED,
      message: 'a message of 10000 bytes came in more than 73 pieces: send larger frames',
    });
  session.destroy();
  await until(() => door.budget.used === 0);
});

test('small messages of a call whose answers are not taken are not kept without end, and each has its price', async () => {
  using door = await openDoor([AgentService], async function* (requests) {
    for await (const _ of requests) yield { message: { case: 'capture', value: { captureId: 'x'.repeat(10_000) } } };
  });
  const session = door.session({ initialWindowSize: 0 });
  const { stream } = rawCall(session, attach, { leaveAnswers: true });
  let most = 0;
  const counted = function* () {
    for (let i = 0; i < 5_000; i += 1) {
      most = Math.max(most, door.budget.used);
      yield framed(0);
    }
  };
  await frameByFrame(stream, counted());
  // Each is a piece and a message, of 5 bytes.
  expect(most).toBeGreaterThan(doorLimits.unread * 256);
  expect(most).toBeLessThanOrEqual((doorLimits.unread + 1) * (2 * 256 + 5));
  // It was ended, though its status waits behind the answers.
  await until(() => door.budget.used === 0);
  session.destroy();
});

test('other calls on a session with a wide window pay for what they fill it with, also when the upload has ended', async () => {
  using door = await openDoor([AgentService, IngestService], deaf);
  const session = door.session();
  const uploading = rawCall(session, upload);
  uploading.stream.write(framed(0));
  await until(() => session.remoteSettings.initialWindowSize === receiveWindowBytes);
  const attached = [1, 2].map(() => rawCall(session, attach));
  const message = framed(250_000);
  const endings: (number | undefined)[] = [];
  for (const { stream, ended } of attached) {
    void ended.then((ending) => endings.push(ending.status));
    for (let i = 0; i < 20; i += 1) stream.write(message);
  }
  await until(() => endings.length === 1);
  expect(endings).toEqual([status.RESOURCE_EXHAUSTED]);
  uploading.stream.close();
  await until(() => session.remoteSettings.initialWindowSize === doorLimits.window);
  expect(door.budget.used).toBeGreaterThan(20 * 250_000);
  expect(door.budget.used).toBeLessThanOrEqual(doorLimits.bodiesOfOne);
  session.destroy();
  await until(() => door.budget.used === 0);
});

test('pieces of a call that is not admitted yet are bounded, count for nobody, and are refused at its admission', async () => {
  const admission = Promise.withResolvers<void>();
  using door = await openDoor([AgentService], deaf, () => admission.promise);
  const session = door.session();
  const { stream, ended } = rawCall(session, attach);
  await frameByFrame(
    stream,
    Array.from({ length: 400 }, () => framed(0)),
  );
  expect(door.budget.used).toBe(0);
  admission.resolve();
  expect(await ended).toMatchObject({ status: status.RESOURCE_EXHAUSTED, pushbackMs: 1_000 });
  expect(door.budget.used).toBe(0);
  session.destroy();
});

test('a small piece does not keep what was read with it', () => {
  const read = Buffer.alloc(64 << 10, 7);
  const piece = withoutRest(read.subarray(100, 101));
  expect([piece.buffer.byteLength, piece[0]]).toEqual([1, 7]);
  const large = read.subarray(0, 16 << 10);
  expect(withoutRest(large)).toBe(large);
});
