import { expect, test } from 'vitest';
import { leavable } from './stream.ts';

/** Three messages, then silence until it is canceled; `seen` tells what became of it. */
async function* messages(signal: AbortSignal, seen: string[]): AsyncGenerator<number> {
  try {
    yield 1;
    yield 2;
    await new Promise((resolve) => (signal.aborted ? resolve(0) : signal.addEventListener('abort', resolve)));
    seen.push('canceled');
    throw new Error('the cancellation shows as an error');
  } finally {
    seen.push('ended');
  }
}

test('a stream that is left is canceled and has ended before anything else happens', async () => {
  const seen: string[] = [];
  for await (const message of leavable((own) => messages(own, seen), new AbortController().signal)) {
    if (message === 1) break;
  }
  expect(seen).toEqual(['canceled', 'ended']);
});

test('an error of the reader ends the stream too, and is the one that is thrown', async () => {
  const seen: string[] = [];
  const reading = async (): Promise<void> => {
    for await (const message of leavable((own) => messages(own, seen), new AbortController().signal)) {
      throw new Error(`the reader failed at ${message}`);
    }
  };
  await expect(reading()).rejects.toThrow('the reader failed at 1');
  expect(seen).toEqual(['canceled', 'ended']);
});

test('the outer signal cancels, and then the error of the stream is thrown', async () => {
  const seen: string[] = [];
  const outer = new AbortController();
  const reading = async (): Promise<void> => {
    for await (const message of leavable((own) => messages(own, seen), outer.signal)) {
      if (message === 2) outer.abort();
    }
  };
  await expect(reading()).rejects.toThrow('the cancellation shows as an error');
  expect(seen).toEqual(['canceled', 'ended']);
});
