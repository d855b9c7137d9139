import { Fault } from '@kcorder/proto/fault.ts';
import { Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { expect, test } from 'vitest';
import { captureOf } from '../fixtures/lab-capture.ts';
import type { Session } from '../session.ts';
import { follow } from './follow.ts';

const never = new AbortController().signal;
const tokenEnded = new Fault('unauthenticated', 'the API server does not vouch for this token');

/** Follows a capture whose streams each tell of one state, if there is one, and end with the token that opened them. */
async function followed(...states: readonly (Phase | undefined)[]) {
  let streams = 0;
  const watchCapture = async function* () {
    const phase = states[streams];
    streams += 1;
    if (phase !== undefined) yield { capture: captureOf({ phase }) };
    throw tokenEnded;
  };
  const seen: Phase[] = [];
  const calls = { watchCapture } as unknown as Session['calls'];
  const fault = await (async () => {
    for await (const { phase } of follow(calls, 'x', { signal: never, known: true, broke: () => undefined }))
      seen.push(phase);
  })().catch((error: unknown) => error);
  return { streams, seen, fault };
}

test('a stream that ends with its token is opened again with another, as often as it tells something', async () => {
  const { ACQUIRING, DONE } = Phase;
  expect(await followed(ACQUIRING, ACQUIRING, DONE)).toEqual({
    streams: 3,
    seen: [ACQUIRING, ACQUIRING, DONE],
    fault: undefined,
  });
});

test('whoever is not known any more is told so', async () => {
  expect(await followed(Phase.ACQUIRING, undefined)).toMatchObject({ streams: 2, fault: tokenEnded });
});
