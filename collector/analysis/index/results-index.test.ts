import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cell } from '../protocol.ts';
import { parseFilter, parseOrder } from './filter.ts';
import type { RowQuery } from './query.ts';
import { ResultsIndex } from './results-index.ts';
import { cgroupOf, containerOf, leaveResults, processesOf } from './testing/results.ts';

const million = 1_000_000;
const index = new ResultsIndex();
const { signal } = new AbortController();
let dir: string;
let large: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kcorder-results-index-'));
  large = join(dir, 'large');
  const processes = Array.from({ length: 100 }, (_, pod) => ({ pid: 100 + pod, nspid: 1, cgroup: cgroupOf(pod, pod) }));
  await leaveResults(
    large,
    {
      processes: processesOf(...processes),
      'linux.lsof.Lsof': { columns: ['PID', 'Path', 'Inode'], rows: manyRows() },
    },
    { containers: processes.map((_, pod) => containerOf(pod, pod)) },
  );
}, 180_000);
afterAll(async () => {
  await index.close();
  await rm(dir, { recursive: true });
});

function* manyRows(): Generator<Cell[]> {
  for (let row = 0; row < million; row += 1) yield [100 + (row % 100), `/usr/lib/${(row * 7919) % million}`, row];
}

const queryOf = (asked: Partial<RowQuery>): RowQuery => ({
  plugin: 'linux.lsof.Lsof',
  conditions: [],
  namespace: '',
  pod: '',
  container: '',
  pid: undefined,
  order: undefined,
  unmask: false,
  pageSize: 1_000,
  pageToken: '',
  ...asked,
});

/** How often the loop came round while something was done. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  await work.finally(() => clearInterval(timer));
  return turns;
}

test('a million rows are made into a file, which holds nobody up, and searched', async () => {
  const work = index.prepare(large);
  expect(await turnsDuring(work)).toBeGreaterThan(10);
  expect(statSync(await work).size).toBeGreaterThan(50 * 2 ** 20);
  const ofPod = await index.page(large, queryOf({ namespace: 'shop', pod: 'pod-42', pageSize: 3 }), signal);
  expect(ofPod.rows.map((row) => row[2])).toEqual([42, 142, 242]);
  const last = await index.page(large, queryOf({ order: parseOrder('Inode desc'), pageSize: 2 }), signal);
  expect(last.rows.map((row) => row[2])).toEqual([999_999, 999_998]);
  const next = queryOf({ order: parseOrder('Inode desc'), pageSize: 2, pageToken: last.nextPageToken });
  expect((await index.page(large, next, signal)).rows.map((row) => row[2])).toEqual([999_997, 999_996]);
  const one = queryOf({ conditions: parseFilter("Path = '/usr/lib/7919'") });
  expect((await index.page(large, one, signal)).rows.map((row) => row[2])).toEqual([1]);
});

test('a search ends when its caller is gone, and the next one has its turn', async () => {
  await index.prepare(large);
  const gone = new AbortController();
  const conditions = parseFilter("Path ~ 'nowhere'");
  const left = index.page(large, queryOf({ conditions }), gone.signal);
  const next = index.page(large, queryOf({ pid: 142, pageSize: 1 }), signal);
  gone.abort(new Error('gone'));
  await expect(left).rejects.toThrow('gone');
  expect((await next).rows).toHaveLength(1);
});

test('a file is made anew when the capture was analyzed again, when it is damaged, and when it is gone', async () => {
  const outputDir = join(dir, 'small');
  const lsof = (path: string) => ({ 'linux.lsof.Lsof': { columns: ['PID', 'Path'], rows: [[1, path]] } });
  const opened = async () => {
    const page = await index.page(outputDir, queryOf({}), signal);
    return page.rows[0]?.[1];
  };
  await leaveResults(outputDir, lsof('first'));
  expect(await opened()).toBe('first');
  await leaveResults(outputDir, lsof('second'), { startedAt: '2026-11-30T13:00:00.000Z' });
  expect(await opened()).toBe('second');
  const path = await index.prepare(outputDir);
  // The first pages, where what the file is stands, are sound.
  const damaged = readFileSync(path);
  damaged.fill(0xff, 4_096 * 10);
  writeFileSync(path, damaged);
  expect(await opened()).toBe('second');
  writeFileSync(path, 'no database');
  expect(await opened()).toBe('second');
  await rm(path);
  expect(await opened()).toBe('second');
});

test('many that ask for a file at once get one', async () => {
  const outputDir = join(dir, 'shared');
  await leaveResults(outputDir, { hiddenModules: { columns: ['name'], rows: [['x']] } });
  const paths = await Promise.all(Array.from({ length: 8 }, () => index.prepare(outputDir)));
  expect(new Set(paths).size).toBe(1);
});

test('what is wrong with a query comes back as its fault', async () => {
  await expect(index.page(large, queryOf({ plugin: 'nope' }), signal)).rejects.toMatchObject({
    code: 'invalid_argument',
  });
  await expect(index.page(join(dir, 'none'), queryOf({}), signal)).rejects.toMatchObject({ code: 'evidence_missing' });
});

test('after its end there are no answers', async () => {
  const ended = new ResultsIndex();
  await ended.close();
  await expect(ended.page(large, queryOf({}), signal)).rejects.toMatchObject({ code: 'unavailable' });
});
