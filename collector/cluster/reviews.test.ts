import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { doorLimits } from '../api/door/limits.ts';
import { holderOf } from '../identity/person.ts';
import { Reviews } from './reviews.ts';

/** Questions that are answered when the test says so. */
function heldQuestions() {
  const answers: (() => void)[] = [];
  const question = () => new Promise<void>((resolve) => answers.push(resolve));
  const answerAll = (): void => {
    for (const answer of answers.splice(0)) answer();
  };
  return { answers, question, answerAll };
}

const refused = { code: 'resource_exhausted', retryAfterMs: 1_000 };

test('one holder has eight places, and takes none of others or of streams', async () => {
  const { answers, question, answerAll } = heldQuestions();
  const reviews = new Reviews();
  const mallory = Array.from({ length: 25 }, () =>
    reviews.ofCall('mallory', question).catch((fault: unknown) => fault),
  );
  const alice = reviews.ofCall('alice', question);
  const stream = reviews.ofStream('alice', question);
  expect(answers).toHaveLength(10);
  answerAll();
  const endings = await Promise.all(mallory);
  expect(endings.filter((ending) => ending !== undefined)).toHaveLength(17);
  expect(endings.at(-1)).toMatchObject({ ...refused, message: expect.stringContaining('mallory') });
  await Promise.all([alice, stream]);
  const again = reviews.ofCall('mallory', question);
  expect(answers).toHaveLength(1);
  answerAll();
  await again;
});

test('many holders have 64 places in all, and streams theirs besides', async () => {
  const { answers, question, answerAll } = heldQuestions();
  const reviews = new Reviews();
  const calls = Array.from({ length: 64 }, (_, i) => reviews.ofCall(`holder-${i}`, question));
  await expect(reviews.ofCall('one-more', question)).rejects.toMatchObject(refused);
  const stream = reviews.ofStream('alice', question);
  expect(answers).toHaveLength(65);
  answerAll();
  await Promise.all([...calls, stream]);
});

test('streams wait for a place, holders in turns: whoever has many keeps nobody waiting', async () => {
  const { answers, question, answerAll } = heldQuestions();
  const reviews = new Reviews();
  const asked: string[] = [];
  const stream = (holder: string) =>
    reviews.ofStream(holder, () => {
      asked.push(holder);
      return question();
    });
  const streams = ['a', 'b', 'c', 'd', 'e'].flatMap((holder) => Array.from({ length: 100 }, () => stream(holder)));
  await setImmediate();
  expect(asked).toHaveLength(128);
  streams.push(stream('bob'));
  for (const answer of answers.splice(0, 6)) answer();
  await setImmediate();
  expect(asked.slice(128)).toEqual(['b', 'c', 'd', 'e', 'bob', 'b']);
  while (asked.length < 501 || answers.length > 0) {
    answerAll();
    await setImmediate();
  }
  await Promise.all(streams);
});

test('the streams of one holder, as many as it may have calls, do not wait for each other', async () => {
  const { answers, question, answerAll } = heldQuestions();
  const reviews = new Reviews();
  const streams = Array.from({ length: doorLimits.callsOfIdentity }, () => reviews.ofStream('eve', question));
  streams.push(reviews.ofStream('alice', question));
  expect(answers).toHaveLength(doorLimits.callsOfIdentity + 1);
  answerAll();
  await Promise.all(streams);
});

test('what is asked already is not asked twice; a question that failed is asked anew', async () => {
  const reviews = new Reviews();
  let asked = 0;
  const ask = async () => {
    asked += 1;
    await setImmediate();
    if (asked === 1) throw new Error('away');
    return asked;
  };
  const [one, other] = await Promise.allSettled([reviews.once('k', ask), reviews.once('k', ask)]);
  expect([one?.status, other?.status, asked]).toEqual(['rejected', 'rejected', 1]);
  expect(await reviews.once('k', ask)).toBe(2);
});

test.each([
  ['alice', 'alice'],
  ['system:serviceaccount:ci:runner-7', 'system:serviceaccount:ci'],
])('%s is counted as %s', (name, holder) => {
  expect(holderOf(name)).toBe(holder);
});
