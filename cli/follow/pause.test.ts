import { Fault } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { inTurn, pauseMs } from './pause.ts';

test.each([
  { sentence: 'nothing asked for', failures: 1, retryAfterMs: undefined, ms: 250 },
  { sentence: 'less asked for than is waited anyway', failures: 10, retryAfterMs: 1_000, ms: 5_000 },
  { sentence: 'more asked for', failures: 1, retryAfterMs: 3_000, ms: 3_000 },
  { sentence: 'a day asked for', failures: 1, retryAfterMs: 86_400_000, ms: 60_000 },
])('with $sentence the pause is $ms ms', ({ failures, retryAfterMs, ms }) => {
  const options = retryAfterMs === undefined ? {} : { retryAfterMs };
  expect(pauseMs(failures, new Fault('resource_exhausted', 'later', options))).toBe(ms);
});

const { signal } = new AbortController();

test('a call that has to wait for its turn is made again, and what it gives in the end comes back', async () => {
  let calls = 0;
  const call = async () => {
    calls += 1;
    if (calls < 3) throw new Fault('resource_exhausted', 'later', { retryAfterMs: 1 });
    return calls;
  };
  expect(await inTurn(call, signal)).toBe(3);
});

test.each([
  { sentence: 'names no time', fault: new Fault('resource_exhausted', 'full') },
  { sentence: 'is another one', fault: new Fault('node_busy', 'busy', { retryAfterMs: 1 }) },
])('a refusal that $sentence ends the call', async ({ fault }) => {
  let calls = 0;
  const call = async () => {
    calls += 1;
    throw fault;
  };
  await expect(inTurn(call, signal)).rejects.toBe(fault);
  expect(calls).toBe(1);
});
