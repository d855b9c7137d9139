import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Worker, type WorkerDeps } from './worker.ts';

// A worker's turns are real ones, so that it takes no time.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }));
afterEach(() => void vi.useRealTimers());

/** So many turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets time go by, timer by timer, with a few turns after each. */
async function pass(ms: number): Promise<void> {
  let isOver = false;
  setTimeout(() => {
    isOver = true;
  }, ms);
  await turns(3);
  while (!isOver) {
    vi.advanceTimersToNextTimer();
    await turns(3);
  }
  // Those that were set meanwhile for this very moment.
  vi.advanceTimersByTime(0);
  await turns(3);
}

/** A worker that is open until the test ends, with the times at which its steps began and the messages of those that threw. */
function open(step: WorkerDeps['step'] = async () => undefined, retryMs?: WorkerDeps['retryMs']) {
  const [began, failed]: [number[], string[]] = [[], []];
  const startMs = Date.now();
  const worker = new Worker({
    step: async (signal) => {
      began.push(Date.now() - startMs);
      return await step(signal);
    },
    failed: (error) => void failed.push(String(error)),
    ...(retryMs && { retryMs }),
  });
  return { worker, began, failed };
}

/** A step that takes so long, and ends at once when it is aborted. */
const lasting =
  (ms: number, restMs?: number): WorkerDeps['step'] =>
  async (signal) =>
    await new Promise((resolve, reject) => {
      setTimeout(() => resolve(restMs), ms);
      signal.addEventListener('abort', () => reject(signal.reason));
    });

const fails = async (): Promise<never> => {
  throw new Error('the disk is full');
};

test('no step begins before the first wake, nor in the turn of who wakes', async () => {
  const { worker, began } = open();
  await pass(100_000);
  expect(began).toEqual([]);
  worker.wake();
  await Promise.resolve();
  expect(began).toEqual([]);
  await pass(0);
  expect(began).toEqual([100_000]);
});

test('a step that gives no time is made again only when woken', async () => {
  const { worker, began } = open();
  worker.wake();
  await pass(100_000);
  worker.wake();
  await pass(100_000);
  expect(began).toEqual([0, 100_000]);
});

test('a step that gives a time is made again then, and sooner when woken', async () => {
  const { worker, began } = open(async () => 1_000);
  worker.wake();
  await pass(2_500);
  expect(began).toEqual([0, 1_000, 2_000]);
  worker.wake();
  await pass(0);
  expect(began).toEqual([0, 1_000, 2_000, 2_500]);
  await pass(999);
  expect(began).toHaveLength(4);
  await pass(1);
  expect(began).toHaveLength(5);
});

test('a time that no timer takes is a long one, and not none', async () => {
  const { worker, began } = open(async () => Number.POSITIVE_INFINITY);
  worker.wake();
  await pass(86_400_000);
  expect(began).toEqual([0]);
});

test('steps that follow each other at once let others have their turn', async () => {
  const { worker, began } = open(async () => 0);
  const others: number[] = [];
  worker.wake();
  setImmediate(() => others.push(began.length));
  setTimeout(() => void worker.close(), 1);
  await pass(1);
  expect(others).toEqual([1]);
  expect(began.length).toBeGreaterThan(1);
  const { length } = began;
  await pass(10);
  expect(began).toHaveLength(length);
});

test('however often it is woken during a step, exactly one more follows, at once', async () => {
  const { worker, began } = open(lasting(100, 10_000));
  worker.wake();
  await pass(50);
  for (let wakes = 0; wakes < 3; wakes += 1) worker.wake();
  await pass(1_000);
  expect(began).toEqual([0, 100]);
});

test('a wake in the very turn in which a step ends is not lost', async () => {
  let wakes = 0;
  const { worker, began } = open(async () => {
    wakes += 1;
    // After the step's own promise has settled, and before the worker may have begun to wait: each number of turns in between.
    if (wakes < 10) {
      let later = Promise.resolve();
      for (let count = 0; count < wakes; count += 1) later = later.then(() => undefined);
      void later.then(() => worker.wake());
    }
    return undefined;
  });
  worker.wake();
  await turns(30);
  expect(began).toHaveLength(10);
});

test('a step that throws is reported and made again, ever later, and the next that does not begins anew', async () => {
  let isBroken = true;
  const { worker, began, failed } = open(async () => (isBroken ? await fails() : 500));
  worker.wake();
  await pass(15_000);
  expect(began).toEqual([0, 1_000, 3_000, 7_000, 15_000]);
  expect(failed).toEqual(Array(5).fill('Error: the disk is full'));
  isBroken = false;
  await pass(16_000 + 499);
  expect(began.slice(5)).toEqual([31_000]);
  isBroken = true;
  await pass(1_500);
  expect(began.slice(6)).toEqual([31_500, 32_500]);
});

test('whoever is told of a failure and throws is not the end of the worker', async () => {
  let steps = 0;
  const worker = new Worker({
    step: async () => {
      steps += 1;
      throw new Error('no');
    },
    failed: () => {
      throw new Error('nor this');
    },
  });
  worker.wake();
  await pass(10_000);
  expect(steps).toBeGreaterThan(2);
  await worker.close();
});

test('the pause after failures is at most a minute, or what the worker was given', async () => {
  const usual = open(fails);
  usual.worker.wake();
  await pass(1_000_000);
  const [last, before] = usual.began.toReversed();
  expect(Number(last) - Number(before)).toBe(60_000);
  const failures: number[] = [];
  const given = open(fails, (count) => {
    failures.push(count);
    return 7;
  });
  given.worker.wake();
  await pass(20);
  expect(given.began.map((ms) => ms - Number(given.began[0]))).toEqual([0, 7, 14]);
  expect(failures).toEqual([1, 2, 3]);
});

test('a wake ends the pause after a failure', async () => {
  const { worker, began } = open(fails);
  worker.wake();
  await pass(100);
  worker.wake();
  await pass(0);
  expect(began).toEqual([0, 100]);
});

test('closing aborts the step with the reason, waits for its end, and reports nothing', async () => {
  let reason: unknown;
  const { worker, began, failed } = open(async (signal) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    reason = signal.reason;
    await new Promise((resolve) => setTimeout(resolve, 300));
    signal.throwIfAborted();
    return 0;
  });
  worker.wake();
  await pass(10);
  const closed: string[] = [];
  void worker.close().then(() => closed.push('first'));
  void worker.close().then(() => closed.push('second'));
  await pass(299);
  expect(closed).toEqual([]);
  await pass(1);
  expect(closed).toEqual(['first', 'second']);
  expect(reason).toMatchObject({ code: 'unavailable' });
  await worker.close();
  worker.wake();
  await pass(100_000);
  expect([began, failed]).toEqual([[0], []]);
});

test.each([
  ['that was never woken', async () => undefined],
  ['that was woken just now', async (worker: Worker) => worker.wake()],
  [
    'that rests',
    async (worker: Worker) => {
      worker.wake();
      await pass(10);
    },
  ],
])('a worker %s closes at once, leaves no timer and makes no step afterwards', async (_what, prepare) => {
  const { worker, began } = open(async () => 1_000);
  await prepare(worker);
  const { length } = began;
  const closing = worker.close();
  await pass(0);
  await closing;
  expect(vi.getTimerCount()).toBe(0);
  worker.wake();
  await pass(10_000);
  expect(began).toHaveLength(length);
});

test('whenever it is woken, a step begins afterwards; there are never two at once, nor more than wakes', async () => {
  const happening = fc.record({ after: fc.nat(4), microtasks: fc.nat(12), lasts: fc.nat(3), fails: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { minLength: 1, maxLength: 30 }), fc.boolean(), async (happenings, rests) => {
      let [wanted, seen, steps, running, most] = [0, 0, 0, 0, 0];
      const made = open(
        async () => {
          seen = wanted;
          running += 1;
          most = Math.max(most, running);
          const { lasts = 0, fails: isBroken } = happenings[steps % happenings.length] ?? {};
          steps += 1;
          await turns(lasts);
          running -= 1;
          if (isBroken) throw new Error('broken');
          return rests ? 1_000_000 : undefined;
        },
        () => 1_000_000,
      );
      for (const { after, microtasks } of happenings) {
        await turns(after);
        for (let count = 0; count < microtasks; count += 1) await undefined;
        wanted += 1;
        made.worker.wake();
      }
      // The last step may have to wait for the one before.
      await turns(10);
      await made.worker.close();
      expect([seen, running, most]).toEqual([happenings.length, 0, 1]);
      expect(steps).toBeLessThanOrEqual(happenings.length);
    }),
    { numRuns: 1_000 },
  );
});
