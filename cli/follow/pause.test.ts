import { Fault } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { pauseMs } from './pause.ts';

test.each([
  { sentence: 'nothing asked for', failures: 1, retryAfterMs: undefined, ms: 250 },
  { sentence: 'less asked for than is waited anyway', failures: 10, retryAfterMs: 1_000, ms: 5_000 },
  { sentence: 'more asked for', failures: 1, retryAfterMs: 3_000, ms: 3_000 },
  { sentence: 'a day asked for', failures: 1, retryAfterMs: 86_400_000, ms: 60_000 },
])('with $sentence the pause is $ms ms', ({ failures, retryAfterMs, ms }) => {
  const options = retryAfterMs === undefined ? {} : { retryAfterMs };
  expect(pauseMs(failures, new Fault('resource_exhausted', 'later', options))).toBe(ms);
});
