import { expect, test } from 'vitest';
import { Backoff, reconnectBackoff } from './backoff.ts';

const waits = (random: number, count: number): number[] => {
  const backoff = new Backoff(reconnectBackoff);
  return Array.from({ length: count }, () => backoff.next(random));
};

test('waits double up to half a minute', () => {
  expect(waits(0, 8)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

test('chance shortens each wait by up to a half, never below the shortest', () => {
  expect(waits(1, 8)).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
});

test('stays at the longest wait for ever', () => {
  expect(waits(0, 5000).at(-1)).toBe(30_000);
});

test('starts again after a success', () => {
  const backoff = new Backoff(reconnectBackoff);
  for (let count = 0; count < 10; count += 1) backoff.next();
  backoff.reset();
  expect(backoff.next(0)).toBe(1000);
});

test('a wait ends at once when the signal fires', async () => {
  const ending = new AbortController();
  const waiting = new Backoff({ minMs: 60_000, maxMs: 60_000 }).wait(ending.signal);
  ending.abort();
  await expect(waiting).rejects.toThrow('aborted');
});

test('a collector that asks for patience gets it, up to the longest wait', async () => {
  const quick = { minMs: 1, maxMs: 40 };
  const { signal } = new AbortController();
  expect(await new Backoff(quick).wait(signal, 20)).toBeGreaterThanOrEqual(20);
  expect(await new Backoff(quick).wait(signal, 86_400_000)).toBe(40);
});
