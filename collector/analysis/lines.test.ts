import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { LineTooLong, readLines } from './lines.ts';

async function collect(chunks: Buffer[], limitBytes: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readLines(stream(chunks), limitBytes))
    lines.push(line instanceof LineTooLong ? 'too long' : line.toString('latin1'));
  return lines;
}

async function* stream(chunks: Buffer[]): AsyncGenerator<Buffer, void, undefined> {
  yield* chunks;
}

test.each<[string, string[], string[]]>([
  ['a line in one chunk', ['one\n'], ['one']],
  ['several lines in a chunk', ['one\ntwo\nthree\n'], ['one', 'two', 'three']],
  ['a line over three chunks', ['o', 'n', 'e\n'], ['one']],
  ['empty lines', ['\n\n'], ['', '']],
  ['bytes after the last line end', ['one\ntw', 'o'], ['one', 'two']],
  ['nothing', [], []],
])('%s', async (_what, chunks, lines) => {
  expect(
    await collect(
      chunks.map((chunk) => Buffer.from(chunk)),
      100,
    ),
  ).toEqual(lines);
});

test('any text cut anywhere gives the same lines as splitting it', async () => {
  const chunks = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\n') }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(chunks, async (parts) => {
      const whole = parts.join('').split('\n');
      if (whole.at(-1) === '') whole.pop();
      expect(
        await collect(
          parts.map((part) => Buffer.from(part)),
          1_000,
        ),
      ).toEqual(whole);
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ['in one chunk', ['xxxxxx\nafter\n']],
  ['over two chunks', ['xxx', 'xxx\nafter\n']],
  ['over many chunks', [...Array.from({ length: 1_000 }, () => 'x'), '\naf', 'ter']],
])('a line over the limit is told once %s, and the rest of it skipped', async (_what, chunks) => {
  expect(
    await collect(
      chunks.map((chunk) => Buffer.from(chunk)),
      5,
    ),
  ).toEqual(['too long', 'after']);
});

test('a line over the limit that never ends is told before it does', async () => {
  async function* endless(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) yield Buffer.from('x');
  }
  for await (const line of readLines(endless(), 5)) {
    expect(line).toBeInstanceOf(LineTooLong);
    break;
  }
});

test('the source is not read on while a line is being dealt with', async () => {
  let pulled = 0;
  async function* source(): AsyncGenerator<Buffer, void, undefined> {
    for (; pulled < 100; pulled += 1) yield Buffer.from('line\n');
  }
  for await (const _line of readLines(source(), 100)) if (pulled >= 3) break;
  expect(pulled).toBe(3);
});

test('a line that comes a byte at a time is held once, not a piece for each byte', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const held = (): number => {
    collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const bytes = 500_000;
  const before = held();
  async function* source(): AsyncGenerator<Buffer, void, undefined> {
    for (let count = 0; count < bytes; count += 1) yield Buffer.from([0x78]);
    // Memory that is collected is given back a little later, by another thread.
    await until(() => held() - before < 16 << 20);
    yield Buffer.from('\n');
  }
  for await (const line of readLines(source(), 1 << 20)) expect(line).toHaveLength(bytes);
});
