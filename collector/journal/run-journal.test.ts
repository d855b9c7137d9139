import { expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { openDatabase } from './database.ts';
import { type Run, RunJournal } from './run-journal.ts';

const run = (tick: string, node: string, more: Partial<Run> = {}): Run => ({
  schedule: 's',
  tick,
  nodeUid: node === '' ? '' : `u-${node}`,
  nodeName: node,
  triggered: false,
  triggerKey: '',
  dueAt: tick,
  deadlineAt: tick,
  state: 'succeeded',
  reason: '',
  detail: '',
  captureId: '',
  ticks: 1,
  ...more,
});

function openRuns(): Disposable & { readonly runs: RunJournal } {
  const scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  return {
    runs: new RunJournal(database),
    [Symbol.dispose]: () => {
      database.close();
      scratch[Symbol.dispose]();
    },
  };
}

const keys = (runs: readonly Run[]): string[] => runs.map(({ tick, nodeName }) => `${tick} ${nodeName}`);

test('old runs go, but what is open and the newest of each node stay', () => {
  using opened = openRuns();
  const { runs } = opened;
  const old = ['1', '2', '3'].flatMap((tick) => [run(tick, 'n1'), run(tick, 'n2'), run(tick, '')]);
  runs.add([...old, run('0', 'n1', { state: 'waiting' }), run('5', 'n2'), run('5', 'n1', { schedule: 'other' })]);
  expect(runs.prune('4', 2)).toBe(2);
  expect(runs.prune('4', 100)).toBe(5);
  expect(keys(runs.list({ limit: 100 }))).toEqual(['5 n1', '5 n2', '3 ', '3 n1', '0 n1']);
  expect(runs.prune('4', 100)).toBe(0);
});

test('what is on record for a tick and a node stays as it is', () => {
  using opened = openRuns();
  const { runs } = opened;
  runs.add([run('1', 'n1')]);
  runs.add([run('1', 'n1', { state: 'waiting' }), run('1', 'n2')]);
  expect(runs.list({ limit: 10 }).map(({ nodeName, state }) => `${nodeName} ${state}`)).toEqual([
    'n1 succeeded',
    'n2 succeeded',
  ]);
});

test('what is due comes page by page, the earliest first, and says whether an earlier run is open', () => {
  using opened = openRuns();
  const { runs } = opened;
  const waiting = (tick: string, node: string, dueAt: string) =>
    run(tick, node, { state: 'waiting', dueAt, deadlineAt: '9' });
  runs.add([
    waiting('2', 'n1', '3'),
    waiting('1', 'n1', '1'),
    waiting('2', 'n2', '2'),
    waiting('2', 'n3', '3'),
    waiting('4', 'n2', '5'),
    run('1', 'n3', { state: 'running' }),
    run('0', 'n2'),
  ]);
  const first = runs.due('4', 2);
  const second = runs.due('4', 2, first[1]);
  expect([...first, ...second].map(({ tick, nodeName, overlaps }) => [tick, nodeName, overlaps])).toEqual([
    ['1', 'n1', false],
    ['2', 'n2', false],
    ['2', 'n1', true],
    ['2', 'n3', true],
  ]);
  expect(runs.due('4', 2, second[1])).toEqual([]);
  expect(runs.nextMoments('4')).toEqual({ dueAt: '5', deadlineAt: '9' });
  expect(runs.expired('8', 10)).toEqual([]);
  expect(runs.expired('9', 10)).toHaveLength(5);
});

test.each([
  { sentence: 'of all', options: {}, expected: ['2 n2', '2 n1', '1 n1'] },
  { sentence: 'of a schedule', options: { schedule: 's' }, expected: ['2 n1', '1 n1'] },
  { sentence: 'of a node', options: { nodeName: 'n2' }, expected: ['2 n2'] },
  { sentence: 'of a schedule on a node', options: { schedule: 's', nodeName: 'n1' }, expected: ['2 n1', '1 n1'] },
  { sentence: 'of nobody', options: { schedule: 'none' }, expected: [] },
])('the newest runs $sentence', ({ options, expected }) => {
  using opened = openRuns();
  opened.runs.add([run('1', 'n1'), run('2', 'n1'), run('2', 'n2', { schedule: 'other' })]);
  expect(keys(opened.runs.list({ ...options, limit: 10 })).sort()).toEqual([...expected].sort());
});
