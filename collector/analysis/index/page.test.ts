import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cell } from '../protocol.ts';
import { buildIndex } from './build.ts';
import { parseFilter, parseOrder } from './filter.ts';
import { readPage } from './page.ts';
import type { RowQuery } from './query.ts';
import { cgroupOf, containerOf, leaveResults, processesOf } from './testing/results.ts';

let outputDir: string;
let database: DatabaseSync;
const mixed: Cell[] = [null, 3, 'b', -1.5, 'a', true, null, 3, 'B', 2 ** 40, '', 3, 'a', 0.5, null, '3'];
const rows = Array.from({ length: 200 }, (_, index): Cell[] => [
  [11, 12, 20][index % 3] ?? null,
  mixed[index % mixed.length] ?? null,
  index,
]);

/** Integers that JSON would round are texts, among them the size of a sparse file that anybody can make on tmpfs. */
const files: Cell[][] = [
  ['/small', 1, 100],
  ['/9007199254740993', 2, null],
  ['/dev/shm/sparse', '18446744073709551615', '9223372036854775807'],
  ['/dev/shm/large', '9007199254740993', '9007199254740993'],
  ['/below', 3, '-9007199254740993'],
  ['/forged', 4, '9007199254740993 or so'],
];

beforeAll(async () => {
  outputDir = await mkdtemp(join(tmpdir(), 'kcorder-page-'));
  const path = join(outputDir, 'results.sqlite');
  await leaveResults(
    outputDir,
    {
      processes: processesOf(
        { pid: 11, cgroup: cgroupOf(1, 1), nspid: 1 },
        { pid: 12, cgroup: cgroupOf(1, 2), nspid: 1 },
        { pid: 20, cgroup: '/init.scope', nspid: 20 },
      ),
      'linux.lsof.Lsof': { columns: ['PID', 'Any Value', 'Number'], rows, warnings: ['pid 3: unreadable'] },
      'linux.lsmod.Lsmod': { columns: ['Name'], rows: [['ext4']] },
      'linux.large.Large': { columns: ['Text'], rows: Array(9).fill(['x'.repeat(10 ** 6)]) },
      'linux.bash.Bash': { state: 'failed', reason: 'timeout' },
      'linux.pagecache.Files': { columns: ['FilePath', 'InodeNum', 'InodeSize'], rows: files },
      hiddenModules: { state: 'empty' },
    },
    { containers: [containerOf(1, 1), containerOf(1, 2)] },
  );
  await buildIndex(outputDir, path);
  database = new DatabaseSync(path, { readOnly: true });
});
afterAll(async () => {
  database.close();
  await rm(outputDir, { recursive: true });
});

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
const read = (asked: Partial<RowQuery>) => readPage(database, queryOf(asked), 'sha', () => undefined);
/** The numbers of the rows that fit. */
const found = (asked: Partial<RowQuery>): Cell[] => read(asked).rows.map((row) => row[2] ?? null);
const where = (filter: string): Cell[] => found({ conditions: parseFilter(filter) });
const numbers = (fits: (row: Cell[]) => boolean): Cell[] => rows.filter(fits).map((row) => row[2] ?? null);

test('a page says what its columns are and what the plugin came to', () => {
  const page = read({ pageSize: 2 });
  expect(page).toMatchObject({
    plugin: 'linux.lsof.Lsof',
    state: 'rows',
    rowCount: 200,
    warnings: ['pid 3: unreadable'],
  });
  expect(page.columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
    ...['PID integer', 'Any Value mixed', 'Number integer', 'placement text', 'namespace text', 'pod text'],
    ...['pod_uid text', 'container text', 'container_pid integer'],
  ]);
  expect(page.rows).toHaveLength(2);
  expect(page.rows[1]?.slice(0, 6)).toEqual([12, 3, 1, 'pod', 'shop', 'pod-1']);
});

test('a plugin that failed says so, and so does one that found nothing', () => {
  expect(read({ plugin: 'linux.bash.Bash' })).toMatchObject({ state: 'failed', reason: 'timeout', rows: [] });
  expect(read({ plugin: 'hiddenModules' })).toMatchObject({ state: 'empty', rows: [], nextPageToken: '' });
});

describe('a filter finds', () => {
  const [, value] = [0, 1];
  const text = (row: Cell[]) => typeof row[value] === 'string';
  test.each<[string, string, (row: Cell[]) => boolean]>([
    ['a text', '"Any Value" = a', (row) => row[value] === 'a'],
    ['a number, and the same as text', '"any value" = 3', (row) => row[value] === 3 || row[value] === '3'],
    ['a quoted number as text only', `"Any Value" = '3'`, (row) => row[value] === '3'],
    ['a flag', '"Any Value" = true', (row) => row[value] === true],
    ['all others, nulls too', '"Any Value" != a', (row) => row[value] !== 'a'],
    ['nulls', '"Any Value" = null', (row) => row[value] === null],
    ['all but nulls', '"Any Value" != null', (row) => row[value] !== null],
    [
      'smaller numbers, no texts and no nulls',
      '"Any Value" < 3',
      (row) => [-1.5, 0.5, true].includes(row[value] as 0.5),
    ],
    ['larger texts, no numbers', `"Any Value" >= 'a'`, (row) => text(row) && String(row[value]) >= 'a'],
    ['a part, whatever its case', '"Any Value" ~ B', (row) => row[value] === 'b' || row[value] === 'B'],
    ['all without a part, nulls too', '"Any Value" !~ b', (row) => row[value] !== 'b' && row[value] !== 'B'],
    ['both of two', 'PID = 11 AND Number < 10', (row) => row[0] === 11 && Number(row[2]) < 10],
    ['a place', 'placement = node', (row) => row[0] === 20],
    ['nothing by what would be SQL', `PID = '1 OR 1=1'`, () => false],
  ])('%s', (_what, filter, fits) => {
    expect(where(filter)).toEqual(numbers(fits));
  });
});

test.each<[string, string[]]>([
  ['InodeSize > 1000000', ['/dev/shm/sparse', '/dev/shm/large']],
  ['InodeSize > 9007199254740992', ['/dev/shm/sparse', '/dev/shm/large']],
  ['InodeSize > 9007199254740993', ['/dev/shm/sparse']],
  ['InodeSize <= 100', ['/small', '/below']],
  ['InodeSize >= 9223372036854775807', ['/dev/shm/sparse']],
  ['InodeNum > 9223372036854775807', ['/dev/shm/sparse']],
  ['InodeNum = 9007199254740993', ['/dev/shm/large']],
])('integers that JSON would round are compared as numbers: %s', (filter, paths) => {
  const page = read({ plugin: 'linux.pagecache.Files', conditions: parseFilter(filter) });
  expect(page.rows.map(([path]) => path)).toEqual(paths);
});

test('rows are found by pod, container and pid', () => {
  expect(found({ namespace: 'shop', pod: 'pod-1' })).toEqual(numbers((row) => row[0] !== 20));
  expect(found({ namespace: 'shop', pod: 'pod-1', container: 'main-2' })).toEqual(numbers((row) => row[0] === 12));
  expect(found({ pid: 20 })).toEqual(numbers((row) => row[0] === 20));
  expect(found({ namespace: 'shop', pod: 'pod-2' })).toEqual([]);
  expect(found({ namespace: 'shop' })).toEqual(numbers((row) => row[0] !== 20));
});

test('a pod that the node did not name is told, since its rows may be there without a name', () => {
  const warnings = (asked: Partial<RowQuery>) => read({ plugin: 'linux.lsmod.Lsmod', ...asked }).warnings;
  expect(warnings({ namespace: 'shop', pod: 'pod-2' })).toEqual([
    'the node named no pod shop/pod-2 when the capture began',
  ]);
  expect(warnings({ namespace: 'shp' })).toEqual(['the node named no pod shp/* when the capture began']);
  expect(warnings({ namespace: 'shop', pod: 'pod-1' })).toEqual([]);
  expect(warnings({ namespace: 'shop' })).toEqual([]);
});

test.each([
  ['a plugin that was not run', { plugin: 'linux.x.X' }, /no plugin linux\.x\.X was run .* linux\.lsof\.Lsof/],
  [
    'a column that there is none',
    { conditions: parseFilter('Nope = 1') },
    /no column "Nope"\. Its columns: PID, "Any Value"/,
  ],
  ['a mistyped order', { order: parseOrder('pids desc') }, /no column "pids"\. Did you mean PID\? Its columns/],
  ['an order that there is none', { order: parseOrder('Nope') }, /no column "Nope"/],
  [
    'a pid where rows have none',
    { plugin: 'linux.lsmod.Lsmod', pid: 1 },
    /rows of linux\.lsmod\.Lsmod name no process/,
  ],
  ['a token that is none', { pageToken: 'x' }, /page_token is of another query/],
])('refuses %s', (_what, asked, message) => {
  expect(() => read(asked)).toThrow(message);
});

test('a token is of one query and of one analysis', () => {
  const { nextPageToken: pageToken } = read({ pageSize: 5 });
  expect(read({ pageSize: 7, pageToken }).rows[0]?.[2]).toBe(5);
  expect(() => read({ pageToken, pid: 11 })).toThrow(/another query/);
  const again = queryOf({ pageToken });
  expect(() => readPage(database, again, 'another', () => undefined)).toThrow(/analyzed again/);
});

test('pages together are all rows, once each, in every order and of every size', () => {
  const orders = ['', 'Any Value', 'Any Value desc', 'PID', 'PID desc', 'pod', 'pod desc', 'Number desc'];
  const asked = fc.record({
    order: fc.constantFrom(...orders),
    size: fc.integer({ min: 1, max: 90 }),
    filter: fc.constantFrom('', 'PID != 11', '"Any Value" != null'),
  });
  fc.assert(
    fc.property(asked, ({ order, size, filter }) => {
      const same = { order: parseOrder(order), conditions: parseFilter(filter) };
      const pages: Cell[] = [];
      let pageToken = '';
      do {
        const page = read({ ...same, pageSize: size, pageToken });
        pages.push(...page.rows.map((row) => row[2] ?? null));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      expect(pages).toEqual(found(same));
      expect(pages).toHaveLength(where(filter).length);
    }),
    { numRuns: 60 },
  );
});

test('an order has nulls first, then numbers, then texts', () => {
  const kinds = read({ order: parseOrder('Any Value') }).rows.map((row) => (row[1] === null ? 'null' : typeof row[1]));
  expect([...new Set(kinds)]).toEqual(['null', 'number', 'string']);
});

test('an order has large integers among the numbers, on every page', () => {
  for (const [column, sizes] of [
    ['InodeNum', ['1', '2', '3', '4', '9007199254740993', '18446744073709551615']],
    [
      'InodeSize',
      ['null', '-9007199254740993', '100', '9007199254740993', '9223372036854775807', '9007199254740993 or so'],
    ],
  ] as const) {
    const cells: string[] = [];
    let pageToken = '';
    do {
      const page = read({ plugin: 'linux.pagecache.Files', order: parseOrder(column), pageSize: 1, pageToken });
      cells.push(...page.rows.map((row) => String(row[page.columns.findIndex(({ name }) => name === column)])));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(cells).toEqual(sizes);
  }
});

test('a page of large rows has fewer of them', () => {
  const first = read({ plugin: 'linux.large.Large' });
  expect(first.rows).toHaveLength(4);
  const { nextPageToken: pageToken } = first;
  expect(read({ plugin: 'linux.large.Large', pageToken }).rows).toHaveLength(4);
});

test('what the tick throws ends a search', () => {
  const late = () => {
    throw new Error('late');
  };
  expect(() => readPage(database, queryOf({}), 'sha', late)).toThrow('late');
});

test('a search in large cells is asked after each of them whether it may go on', () => {
  let ticks = 0;
  const conditions = parseFilter('Text ~ y');
  readPage(database, queryOf({ plugin: 'linux.large.Large', conditions }), 'sha', () => {
    ticks += 1;
  });
  expect(ticks).toBe(1 + 9);
});
