import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fuzzRuns } from '../../tools/fuzz-runs.ts';
import { fatalReasons, ProtocolError, parseLine } from './protocol.ts';

const parse = (value: unknown) => parseLine(Buffer.from(JSON.stringify(value)));

test.each<[string, object, object]>([
  [
    'the kernel',
    { type: 'kernel', imageBanner: 'Linux', kernelMismatch: true, pagingLevels: 5, kernelOffset: '0x1', dtb: '0x2' },
    { type: 'kernel', imageBanner: 'Linux', kernelMismatch: true, pagingLevels: 5, kernelOffset: '0x1', dtb: '0x2' },
  ],
  [
    'the kernel with its build-id',
    {
      ...{ type: 'kernel', imageBanner: 'Linux', kernelMismatch: false, pagingLevels: 4, kernelOffset: '0x1' },
      ...{ dtb: '0x2', imageBuildId: 'ab'.repeat(20) },
    },
    {
      ...{ type: 'kernel', imageBanner: 'Linux', kernelMismatch: false, pagingLevels: 4, kernelOffset: '0x1' },
      ...{ dtb: '0x2', imageBuildId: 'ab'.repeat(20) },
    },
  ],
  [
    'the kernel with what is no build-id',
    {
      ...{ type: 'kernel', imageBanner: 'Linux', kernelMismatch: false, pagingLevels: 4, kernelOffset: '0x1' },
      ...{ dtb: '0x2', imageBuildId: '<script>' },
    },
    { type: 'kernel', imageBanner: 'Linux', kernelMismatch: false, pagingLevels: 4, kernelOffset: '0x1', dtb: '0x2' },
  ],
  [
    'a fatal end',
    { type: 'fatal', reason: 'image_rejected', detail: 'no LiME' },
    { type: 'fatal', reason: 'image_rejected', detail: 'no LiME' },
  ],
  ['a plugin that starts', { type: 'plugin', plugin: 'a', state: 'started' }, { type: 'started', plugin: 'a' }],
  [
    'a plugin that ends without reason and warnings',
    { type: 'plugin', plugin: 'a', state: 'empty', rows: 0, seconds: 1.5 },
    { type: 'ended', plugin: 'a', state: 'empty', rowCount: 0, seconds: 1.5, reason: '', warnings: [] },
  ],
  [
    'rows',
    { type: 'rows', plugin: 'a', columns: ['x', 'y'], rows: [[1, null]] },
    { type: 'rows', plugin: 'a', columns: ['x', 'y'], rows: [[1, null]] },
  ],
  [
    'the last line, of which only texts are versions',
    { type: 'done', versions: { python: '3.11', odd: 3 } },
    { type: 'done', versions: { python: '3.11' } },
  ],
  [
    'text that is no well-formed Unicode is made so',
    { type: 'fatal', reason: 'crashed', detail: 'a\ud800b' },
    { type: 'fatal', reason: 'crashed', detail: 'a\ufffdb' },
  ],
])('%s', (_what, line, parsed) => {
  expect(parse(line)).toEqual(parsed);
});

test.each<[string, unknown]>([
  ['an array', []],
  ['null', null],
  ['an unknown type', { type: 'progress' }],
  ['no type', {}],
  ['a kernel without its place', { type: 'kernel', imageBanner: 'Linux', pagingLevels: 4 }],
  ['a plugin in an unknown state', { type: 'plugin', plugin: 'a', state: 'maybe' }],
  ['a plugin that ends without its count', { type: 'plugin', plugin: 'a', state: 'rows', seconds: 1 }],
  ['a negative count', { type: 'plugin', plugin: 'a', state: 'rows', rows: -1, seconds: 1 }],
  ['warnings that are no texts', { type: 'plugin', plugin: 'a', state: 'rows', rows: 1, seconds: 1, warnings: [1] }],
  ['an end of all for a reason of ours', { type: 'fatal', reason: 'canceled', detail: '' }],
  ['rows shorter than the columns', { type: 'rows', plugin: 'a', columns: ['x', 'y'], rows: [[1]] }],
  ['a row that is an object', { type: 'rows', plugin: 'a', columns: [], rows: [{ length: 0 }] }],
])('%s is refused', (_what, line) => {
  expect(() => parse(line)).toThrow(ProtocolError);
});

test('a run is given up for the reasons that it has, and no other', () => {
  const own = readFileSync(join(import.meta.dirname, 'volatility', 'fatal.py'), 'utf8');
  expect(/Literal\[(.*?)\]/s.exec(own)?.[1]?.match(/\w+/g)).toEqual(fatalReasons);
});

test('anything else is refused and never breaks the parser', () => {
  const lines = fc.oneof(
    fc.uint8Array(),
    fc.json().map(Buffer.from),
    fc
      .object()
      .map((o) => JSON.stringify({ ...o, type: 'plugin' }))
      .map(Buffer.from),
  );
  fc.assert(
    fc.property(lines, (line) => {
      try {
        parseLine(Buffer.from(line));
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test('brackets within brackets are not parsed, and those in a text are no matter', () => {
  const line = (junk: string): Buffer => Buffer.from(`{"type":"ready","text":"\\"[[[[{{{{","junk":${junk}}`);
  expect(parseLine(line('[[1]]'))).toEqual({ type: 'ready' });
  expect(() => parseLine(line('[[[1]]]'))).toThrow('values within values');
});
