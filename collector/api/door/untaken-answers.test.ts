import { constants } from 'node:http2';
import { status } from '@grpc/grpc-js';
import type { CallContext } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { expect, test } from 'vitest';
import { until } from '../../testing/files.ts';
import { openDoor } from '../../testing/open-door.ts';
import { framed, rawCall } from '../../testing/raw-caller.ts';
import { doorLimits } from './limits.ts';

const answerBytes = 10 << 20;
const downloadEvidence = '/kcorder.v1.OperatorService/DownloadEvidence';
const getVersion = '/kcorder.v1.OperatorService/GetVersion';

test('calls that all came before the first answer: no more is held of their answers than one identity may leave, and one answer', async () => {
  const ready = Promise.withResolvers<void>();
  const called = { count: 0 };
  using door = await openDoor([OperatorService], async () => {
    called.count += 1;
    await ready.promise;
    return { version: 'x'.repeat(answerBytes) };
  });
  const session = door.session({ initialWindowSize: 0 });
  const calls = Array.from({ length: 8 }, () => rawCall(session, getVersion));
  for (const { stream } of calls) stream.end(framed(0));
  await until(() => called.count === calls.length);
  ready.resolve();
  const refused: unknown[] = [];
  for (const { ended } of calls) void ended.then((ending) => refused.push(ending));
  const held = Math.floor(doorLimits.answersOfIdentity / answerBytes) + 1;
  await until(() => refused.length >= calls.length - held);
  expect(refused).toEqual(
    Array(calls.length - held).fill(expect.objectContaining({ status: status.RESOURCE_EXHAUSTED, pushbackMs: 1_000 })),
  );
  // More of them would have ended or been answered too: the rest is what is held.
  expect(door.answersLeft()).toBeGreaterThan(doorLimits.answersOfIdentity);
  expect(door.answersLeft()).toBeLessThan(doorLimits.answersOfIdentity + answerBytes);
  session.destroy();
});

test('what was on its way when the right to a stream ended is not to be had later', async () => {
  let called: CallContext | undefined;
  using door = await openDoor([OperatorService], async function* (_requests, context) {
    called = context;
    yield { data: Buffer.alloc(answerBytes) };
  });
  const session = door.session({ initialWindowSize: 0 });
  const { stream, ended } = rawCall(session, downloadEvidence, { leaveAnswers: true });
  stream.end(framed(0));
  await until(() => door.answersLeft() > 0);
  if (called !== undefined) door.failed(called.metadata, new Fault('permission_denied', 'alice may not any more'));
  expect(await ended).toMatchObject({ rstCode: constants.NGHTTP2_REFUSED_STREAM });
  await until(() => door.answersLeft() === 0);
  session.destroy();
});
