import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { quick } from './testing/quick.ts';
import { parseRetryAfter, pauseMs, withinWall } from './timeouts.ts';

const never = new AbortController().signal;
const nowMs = Date.parse('Tue, 15 Nov 1994 12:45:26 GMT');

test.each<[string | null, number | undefined]>([
  ['120', 120_000],
  ['0', 0],
  ['Tue, 15 Nov 1994 12:45:36 GMT', 10_000],
  ['Tue, 15 Nov 1994 12:45:16 GMT', 0],
  ['soon', undefined],
  [null, undefined],
])('Retry-After %s', (text, expected) => {
  expect(parseRetryAfter(text, nowMs)).toBe(expected);
});

test.each<[number, number | undefined, number, number]>([
  [1, undefined, 50, 100],
  [2, undefined, 100, 200],
  [9, undefined, 400, 800],
  [1, 500, 500, 500],
  [1, 3_600_000, 1000, 1000],
])('pause after failure %i, asked for %s', (failures, retryAfterMs, least, most) => {
  const timeouts = { ...quick, backoffMs: 100, backoffLimitMs: 800, retryAfterLimitMs: 1000 };
  for (let count = 0; count < 50; count += 1) {
    const pause = pauseMs(failures, retryAfterMs, timeouts);
    expect(pause).toBeGreaterThanOrEqual(least);
    expect(pause).toBeLessThanOrEqual(most);
  }
});

test('what takes too long ends as failed, and an abort before that throws its reason', async () => {
  const waiting = async (signal: AbortSignal) => {
    await sleep(60_000, undefined, { signal }).catch(() => {});
    signal.throwIfAborted();
  };
  expect(await withinWall(20, never, waiting)).toEqual({
    kind: 'failed',
    reason: 'did not end within 0.02 s',
    transient: true,
  });
  const controller = new AbortController();
  const ended = withinWall(60_000, controller.signal, waiting).catch((error: unknown) => error);
  controller.abort('given up');
  expect(await ended).toBe('given up');
  await expect(withinWall(60_000, never, () => Promise.reject(new Error('own')))).rejects.toThrow('own');
});
