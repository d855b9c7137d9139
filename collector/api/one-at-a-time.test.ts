import { expect, test } from 'vitest';
import { oneAtATime } from './one-at-a-time.ts';

test('one runs at a time, in order, also after one that failed', async () => {
  const inTurn = oneAtATime();
  const log: string[] = [];
  const first = Promise.withResolvers<void>();
  const one = inTurn(async () => {
    log.push('one begins');
    await first.promise;
    log.push('one ends');
    throw new Error('no');
  });
  const two = inTurn(async () => log.push('two'));
  await new Promise(setImmediate);
  expect(log).toEqual(['one begins']);
  first.resolve();
  await expect(one).rejects.toThrow('no');
  await two;
  expect(log).toEqual(['one begins', 'one ends', 'two']);
});
