import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Cell } from '../protocol.ts';
import { rowPath } from '../row-file.ts';
import { buildIndex } from './build.ts';
import { cgroupOf, containerOf, leaveResults, podUid, processesOf } from './testing/results.ts';

let outputDir: string;
let path: string;
beforeEach(async () => {
  outputDir = await mkdtemp(join(tmpdir(), 'kcorder-index-'));
  path = join(outputDir, 'results.sqlite');
});
afterEach(() => rm(outputDir, { recursive: true, force: true }));

function ask(sql: string): Record<string, unknown>[] {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return database
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}

const lsof = (rows: Iterable<readonly Cell[]>) => ({ columns: ['PID', 'Path'], rows });
const web = { pid: 11, nspid: 7, comm: 'web', cgroup: cgroupOf(1, 1), offset: '0x1' };

test('each row of each plugin is in its table, with its pod', async () => {
  await leaveResults(
    outputDir,
    {
      processes: processesOf({ pid: 1, nspid: 1, cgroup: '/init.scope' }, web),
      'linux.lsof.Lsof': lsof([[11, '/etc/x']]),
    },
    { containers: [containerOf(1, 1)] },
  );
  await buildIndex(outputDir, path);
  expect(ask('SELECT * FROM linux_lsof_Lsof')).toEqual([
    {
      PID: 11,
      Path: '/etc/x',
      placement: 'pod',
      namespace: 'shop',
      pod: 'pod-1',
      pod_uid: podUid(1),
      container: 'main-1',
      container_pid: 7,
    },
  ]);
  expect(ask('SELECT pid, placement, pod FROM processes ORDER BY pid')).toEqual([
    { pid: 1, placement: 'node', pod: null },
    { pid: 11, placement: 'pod', pod: 'pod-1' },
  ]);
  expect(ask('SELECT namespace, pod, container FROM _containers')).toEqual([
    { namespace: 'shop', pod: 'pod-1', container: 'main-1' },
  ]);
  expect(ask('SELECT capture_id, state, versions FROM _capture')).toEqual([
    { capture_id: 'c-1', state: 'done', versions: '{"volatility":"2.28.2"}' },
  ]);
});

test('cells keep their kind, and each column says what its cells are', async () => {
  const rows = [
    [1, 1.5, 'a', true, null, 1, 1],
    [2 ** 53 - 1, 2, '5', false, null, 'x', 0.5],
  ];
  await leaveResults(outputDir, { 'linux.x.X': { columns: ['i', 'r', 't', 'b', 'n', 'm', 'ir'], rows } });
  await buildIndex(outputDir, path);
  const kinds = 'SELECT typeof(i) i, typeof(r) r, typeof(t) t, b, n, typeof(m) m, i AS value FROM linux_x_X';
  expect(ask(kinds)).toEqual([
    { i: 'integer', r: 'real', t: 'text', b: 1, n: null, m: 'integer', value: 1 },
    { i: 'integer', r: 'integer', t: 'text', b: 0, n: null, m: 'text', value: 2 ** 53 - 1 },
  ]);
  expect(ask('SELECT type FROM _columns ORDER BY position').map(({ type }) => type)).toEqual([
    ...['integer', 'real', 'text', 'boolean', 'empty', 'mixed', 'real'],
  ]);
});

test('what is sensitive is masked, and is in no byte of the file, unless it is asked for', async () => {
  await leaveResults(outputDir, {
    processes: processesOf({ ...web, commandLine: 'app --password=hunter2' }),
    'linux.envars.Envars': { columns: ['PID', 'KEY', 'VALUE'], rows: [[11, 'PASSWORD', 'hunter2']] },
    'linux.bash.Bash': { columns: ['PID', 'Command'], rows: [[11, 'mysql -phunter2']] },
  });
  await buildIndex(outputDir, path);
  expect(readFileSync(path).includes('hunter2')).toBe(false);
  expect(ask('SELECT KEY, VALUE FROM linux_envars_Envars')).toEqual([{ KEY: 'PASSWORD', VALUE: '[masked]' }]);
  expect(ask('SELECT commandLine FROM processes')).toEqual([{ commandLine: 'app --password=[masked]' }]);
  expect(ask("SELECT warnings FROM _plugins WHERE plugin = 'linux.bash.Bash'")).toEqual([
    { warnings: '["masked: Command; whoever may unmask results can read the values"]' },
  ]);
  expect(ask('SELECT masked FROM _capture')).toEqual([{ masked: 1 }]);
  await buildIndex(outputDir, path, { unmask: true });
  expect(ask('SELECT VALUE FROM linux_envars_Envars')).toEqual([{ VALUE: 'hunter2' }]);
  expect(ask('SELECT commandLine FROM processes')).toEqual([{ commandLine: 'app --password=hunter2' }]);
  expect(ask('SELECT masked FROM _capture')).toEqual([{ masked: 0 }]);
});

test('a plugin that found nothing has a table without rows, one that failed has none', async () => {
  await leaveResults(outputDir, {
    hiddenModules: { state: 'empty' },
    'linux.lsof.Lsof': { state: 'failed', reason: 'timeout' },
  });
  await buildIndex(outputDir, path);
  expect(ask('SELECT name, placement FROM hiddenModules')).toEqual([]);
  expect(() => ask('SELECT * FROM linux_lsof_Lsof')).toThrow(/no such table/);
  expect(ask('SELECT plugin, table_name, state, reason FROM _plugins')).toEqual([
    { plugin: 'hiddenModules', table_name: 'hiddenModules', state: 'empty', reason: '' },
    { plugin: 'linux.lsof.Lsof', table_name: null, state: 'failed', reason: 'timeout' },
  ]);
});

test('texts and titles of a hostile image are data', async () => {
  const hostile = [`'); DROP TABLE _capture; --`, '\u0000\u001b[2J', '"]`;', '\ud800', 'x'.repeat(100_000)];
  const columns = ['a"); DROP TABLE _plugins; --', 'pod', 'POD', ''];
  await leaveResults(outputDir, {
    'linux.x.X': { columns, rows: hostile.map((text) => [text, text, text, text]) },
  });
  await buildIndex(outputDir, path);
  expect(ask('SELECT title, column_name FROM _columns ORDER BY position')).toEqual([
    { title: columns[0], column_name: columns[0] },
    { title: 'pod', column_name: 'pod_2' },
    { title: 'POD', column_name: 'POD_3' },
    { title: '', column_name: 'column_4' },
  ]);
  expect(ask('SELECT pod_2 FROM linux_x_X').map(({ pod_2: text }) => text)).toEqual(
    hostile.map((text) => text.toWellFormed()),
  );
  expect(ask('SELECT count(*) AS n FROM _capture')).toEqual([{ n: 1 }]);
});

test('rows that would make the file larger than its bound are left out, and that is told', async () => {
  const rows = Array.from({ length: 50_000 }, (_, index) => [index, 'x'.repeat(100)]);
  await leaveResults(outputDir, { 'linux.lsof.Lsof': lsof(rows), hiddenModules: { columns: ['name'], rows: [['x']] } });
  await buildIndex(outputDir, path, { bounds: { bytes: 2 ** 20 } });
  const [first, second] = ask('SELECT rows, indexed_rows, warnings FROM _plugins');
  expect(first).toMatchObject({ rows: 50_000, indexed_rows: 10_000 });
  expect(first?.warnings).toBe('["truncated: the file of results holds the first 10000 of its rows"]');
  expect(second).toMatchObject({ rows: 1, indexed_rows: 0 });
});

test('the same results make the same file, byte for byte', async () => {
  await leaveResults(outputDir, { processes: processesOf(web), 'linux.lsof.Lsof': lsof([[11, '/x']]) });
  await buildIndex(outputDir, path);
  const first = readFileSync(path);
  await buildIndex(outputDir, path);
  expect(readFileSync(path).equals(first)).toBe(true);
});

test('a file that cannot be made whole is not there, and the one before it stays', async () => {
  await leaveResults(outputDir, { 'linux.lsof.Lsof': lsof([[11, '/x']]) });
  await buildIndex(outputDir, path);
  const before = readFileSync(path);
  writeFileSync(rowPath(outputDir, 'linux.lsof.Lsof'), '[11,"/x"]\n[12');
  await expect(buildIndex(outputDir, path)).rejects.toMatchObject({ code: 'evidence_missing' });
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(readdirSync(outputDir).filter((name) => name.endsWith('.part'))).toEqual([]);
});

test('without a report there is no file', async () => {
  await expect(buildIndex(outputDir, path)).rejects.toMatchObject({ code: 'evidence_missing' });
  await rm(outputDir, { recursive: true });
  await expect(buildIndex(outputDir, path)).rejects.toMatchObject({ code: 'evidence_missing' });
  expect(existsSync(path)).toBe(false);
});
