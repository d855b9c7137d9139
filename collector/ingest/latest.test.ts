import { expect, test } from 'vitest';
import { Latest } from './latest.ts';

test('values that nobody has taken are replaced by newer ones, and the last one comes before the end', async () => {
  const latest = new Latest<number>();
  const iterator = latest[Symbol.asyncIterator]();
  latest.put(1);
  latest.put(2);
  expect(await iterator.next()).toEqual({ done: false, value: 2 });
  const waiting = iterator.next();
  latest.put(3);
  expect(await waiting).toEqual({ done: false, value: 3 });
  latest.put(4);
  latest.end();
  expect(await iterator.next()).toEqual({ done: false, value: 4 });
  expect(await iterator.next()).toEqual({ done: true, value: undefined });
});

test('an error comes at once, before what waits, and the first one counts', async () => {
  const latest = new Latest<number>();
  latest.put(1);
  latest.end({ error: new Error('first') });
  latest.end({ error: new Error('second') });
  await expect(latest[Symbol.asyncIterator]().next()).rejects.toThrow('first');
});

test('whoever waits is woken by the end', async () => {
  const latest = new Latest<number>();
  const waiting = latest[Symbol.asyncIterator]().next();
  latest.end();
  expect((await waiting).done).toBe(true);
});
