import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { SingleFlight } from './single-flight.ts';

const never = new AbortController().signal;

test('callers for one key at one time share the work, later ones do it anew', async () => {
  const flights = new SingleFlight<number>(1);
  let runs = 0;
  const work = async () => {
    await sleep(5);
    runs += 1;
    return runs;
  };
  expect(await Promise.all([flights.run('a', work, never), flights.run('a', work, never)])).toEqual([1, 1]);
  expect(await flights.run('a', work, never)).toBe(2);
});

test('work for different keys never overlaps, and a failure does not stop the next', async () => {
  const flights = new SingleFlight<string>(1);
  let running = 0;
  const work = (result: string) => async () => {
    running += 1;
    expect(running).toBe(1);
    await sleep(5);
    running -= 1;
    if (result === 'bad') throw new Error('bad');
    return result;
  };
  const all = await Promise.allSettled(['a', 'bad', 'c'].map((key) => flights.run(key, work(key), never)));
  expect(all.map((each) => (each.status === 'fulfilled' ? each.value : 'failed'))).toEqual(['a', 'failed', 'c']);
});

test('one who gives up leaves the work to the others; the last one ends it', async () => {
  const flights = new SingleFlight<string>(1);
  const first = new AbortController();
  const second = new AbortController();
  const started = Promise.withResolvers<AbortSignal>();
  const work = async (signal: AbortSignal) => {
    started.resolve(signal);
    await sleep(60_000, undefined, { signal });
    return 'done';
  };
  const one = flights.run('a', work, first.signal).catch((error: unknown) => error);
  const two = flights.run('a', work, second.signal).catch((error: unknown) => error);
  const shared = await started.promise;
  first.abort('first');
  expect(await one).toBe('first');
  expect(shared.aborted).toBe(false);
  second.abort('second');
  expect(await two).toBe('second');
  expect(shared.aborted).toBe(true);
});

test('work that nobody waits for any more is not started', async () => {
  const flights = new SingleFlight<string>(1);
  const gate = Promise.withResolvers<string>();
  const blocking = flights.run('a', () => gate.promise, never);
  const controller = new AbortController();
  let started = false;
  const waiting = flights
    .run(
      'b',
      async () => {
        started = true;
        return 'b';
      },
      controller.signal,
    )
    .catch((error: unknown) => error);
  controller.abort('given up');
  expect(await waiting).toBe('given up');
  gate.resolve('a');
  expect(await blocking).toBe('a');
  expect(await flights.run('c', async () => 'c', never)).toBe('c');
  expect(started).toBe(false);
});
