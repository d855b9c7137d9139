import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { oneAtATime } from '../background/one-at-a-time.ts';
import { Turns, turnsOfOne } from './one-at-a-time.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

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

test('a caller who takes no answer has one in memory, few calls that wait, and keeps nobody else waiting', async () => {
  const turns = new Turns();
  const made: string[] = [];
  const calls = new Map<string, AbortController>();
  const call = (name: string): Promise<number> => {
    const ending = new AbortController();
    calls.set(name, ending);
    return turns.run(name.slice(0, 1), ending.signal, async () => made.push(name));
  };
  const [first, ...waiting] = Array.from({ length: turnsOfOne }, (_, i) => call(`a${i}`));
  await first;
  await expect(call('a-more')).rejects.toMatchObject({ code: 'resource_exhausted', retryAfterMs: 1_000 });
  await call('b0');
  await call('c0');
  expect(made).toEqual(['a0', 'b0', 'c0']);
  // The first is taken, the second was given up while it waited: the third is next, and there is room for two more.
  calls.get('a1')?.abort(new Error('given up'));
  calls.get('a0')?.abort();
  await expect(waiting[0]).rejects.toThrow('given up');
  await waiting[1];
  expect(made).toEqual(['a0', 'b0', 'c0', 'a2']);
  const more = [call('a4'), call('a5')];
  await expect(call('a6')).rejects.toMatchObject({ code: 'resource_exhausted' });
  for (const name of ['a2', 'a3', 'a4', 'a5']) calls.get(name)?.abort(new Error('over'));
  expect((await Promise.allSettled([waiting[2], ...more])).map(({ status }) => status)).toEqual(
    Array(3).fill('rejected'),
  );
});

test('calls that are given up while another holds the turn are let go of at once', async () => {
  const turns = new Turns();
  const holding = new AbortController();
  await turns.run('a', holding.signal, async () => undefined);
  const held: WeakRef<object>[] = [];
  for (let round = 0; round < 100; round += 1) {
    const ending = new AbortController();
    const answer = Buffer.alloc(1 << 10);
    held.push(new WeakRef(answer));
    const call = turns.run('a', ending.signal, async () => answer);
    ending.abort(new Error('given up'));
    await expect(call).rejects.toThrow('given up');
  }
  await new Promise(setImmediate);
  collectGarbage();
  expect(held.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(3);
  holding.abort();
  expect(await turns.run('a', new AbortController().signal, async () => 'served')).toBe('served');
});
