import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AnalysisReport, PluginReport } from './analysis.ts';
import { rowBoundOf } from './plugins.ts';
import { reportPath, writeReport } from './report-file.ts';
import { checkAnswer, readProcesses, readReport, streamRows } from './results.ts';
import { rowPath } from './row-file.ts';

let outputDir: string;
beforeEach(async () => {
  outputDir = await mkdtemp(join(tmpdir(), 'kcorder-results-'));
});
afterEach(() => rm(outputDir, { recursive: true, force: true }));

function plugin(name: string, rowCount: number, columns: string[] = [], own: Partial<PluginReport> = {}): PluginReport {
  return {
    name,
    state: rowCount > 0 ? 'rows' : 'empty',
    reason: '',
    rowCount,
    seconds: 1,
    warnings: [],
    columns,
    ...own,
  };
}

async function put(plugins: PluginReport[], rows: Record<string, unknown[][]>): Promise<AnalysisReport> {
  const report: AnalysisReport = {
    captureId: 'c-1',
    state: 'done',
    reason: '',
    detail: '',
    kernelMismatch: false,
    versions: {},
    isolation: { network: 'none', endsWithCollector: true },
    plugins,
    containers: [],
    diagnostics: [],
    startedAt: '2026-01-01T00:00:00.000Z',
    seconds: 2,
  };
  for (const [name, cells] of Object.entries(rows)) {
    await writeFile(rowPath(outputDir, name), cells.map((row) => `${JSON.stringify(row)}\n`).join(''));
  }
  await writeReport(outputDir, report);
  return report;
}

async function readRows(report: AnalysisReport, name: string): Promise<unknown[][]> {
  const rows: unknown[][] = [];
  for await (const row of streamRows(outputDir, report, name)) rows.push(row);
  return rows;
}

test('rows come back as they were', async () => {
  const rows = [
    [1, 'a', null, true, 1.5],
    ['0xffff888000000000', '', 'b', false, 0],
  ];
  const report = await put([plugin('p', 2, ['a', 'b', 'c', 'd', 'e'])], { p: rows });
  expect(await readRows(report, 'p')).toEqual(rows);
});

test.each([
  ['an empty plugin', plugin('p', 0)],
  ['a failed plugin', plugin('p', 0, [], { state: 'failed', reason: 'timeout' })],
])('%s has no rows', async (_what, ended) => {
  expect(await readRows(await put([ended], {}), 'p')).toEqual([]);
});

const tooDeep = `${'['.repeat(100_000)}${']'.repeat(100_000)}\n`;

test.each<[string, (path: string) => Promise<void>]>([
  ['are not there', (path) => rm(path)],
  [
    'are cut at a line',
    async (path) => writeFile(path, (await readFile(path, 'utf8')).split('\n').slice(0, 1).join('\n')),
  ],
  ['are cut within a line', async (path) => writeFile(path, (await readFile(path, 'utf8')).slice(0, -3))],
  ['are no rows', (path) => writeFile(path, '{}\n{}\n')],
  ['have more cells than columns', (path) => writeFile(path, '[1,2]\n[1]\n')],
  ['are deeper than any stack', (path) => writeFile(path, `${tooDeep}${tooDeep}`)],
])('rows that %s are a fault, never fewer rows', async (_what, damage) => {
  const report = await put([plugin('p', 2, ['a'])], { p: [[1], [2]] });
  await damage(rowPath(outputDir, 'p'));
  await expect(readRows(report, 'p')).rejects.toMatchObject({ code: 'evidence_missing' });
});

test('a plugin that was not run is a fault that names those that were', async () => {
  await expect(readRows(await put([plugin('p', 0)], {}), 'q')).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining('there are p'),
  });
});

test('one answer takes so many cells of all plugins that are asked for, however few bytes they have', async () => {
  const wide = Array.from({ length: 200 }, (_, index) => `c${index}`);
  const report = await put([plugin('p', 10_000, wide), plugin('q', 10_000, wide), plugin('r', 1, ['a'])], {
    ...{ p: [], q: [], r: [[1]] },
  });
  await checkAnswer(outputDir, report, ['p', 'r']);
  await checkAnswer(outputDir, report, ['q']);
  await expect(checkAnswer(outputDir, report, ['p', 'q'])).rejects.toMatchObject({
    code: 'resource_exhausted',
    message: expect.stringContaining('4000000 cells'),
  });
});

test('one answer takes so many bytes', async () => {
  const report = await put([plugin('p', 1, ['a'])], { p: [] });
  await truncate(rowPath(outputDir, 'p'), 2 ** 25 + 1);
  await expect(checkAnswer(outputDir, report, ['p'])).rejects.toMatchObject({ code: 'resource_exhausted' });
  await checkAnswer(outputDir, report, []);
});

test('processes are joined with the sockets of their plugin', async () => {
  const processes = plugin('processes', 1, ['pid', 'comm']);
  const sockets = plugin('sockets', 1, ['pid', 'fd', 'localPort']);
  const report = await put([processes, sockets], { processes: [[7, 'nc']], sockets: [[7, 3, 4444]] });
  const [process] = await readProcesses(outputDir, report);
  expect(process).toMatchObject({ pid: 7, name: 'nc', sockets: [{ fd: 3, localPort: 4444 }] });
});

test('processes are there when the sockets failed, and none when their own plugin failed', async () => {
  const failed = plugin('sockets', 0, [], { state: 'failed', reason: 'timeout' });
  const report = await put([plugin('processes', 1, ['pid']), failed], { processes: [[7]] });
  expect(await readProcesses(outputDir, report)).toHaveLength(1);
  const without = await put([plugin('processes', 0, [], { state: 'failed', reason: 'timeout' }), failed], {});
  expect(await readProcesses(outputDir, without)).toEqual([]);
});

test.each([
  ['rows', rowBoundOf('processes').rows + 1, 0],
  ['bytes', 1, rowBoundOf('processes').bytes + 1],
])('processes of more %s than can be joined in memory are a fault', async (_what, rowCount, bytes) => {
  const report = await put([plugin('processes', rowCount, ['pid'])], { processes: [] });
  await truncate(rowPath(outputDir, 'processes'), bytes);
  await expect(readProcesses(outputDir, report)).rejects.toMatchObject({ code: 'resource_exhausted' });
});

test('no report is undefined', async () => {
  expect(await readReport(outputDir)).toBeUndefined();
});

test.each([['{'], ['null'], ['{}'], ['{"version":2,"state":"done","plugins":[],"containers":[]}']])(
  'the report %s is damaged, and says so',
  async (content) => {
    await writeFile(reportPath(outputDir), content);
    await expect(readReport(outputDir)).rejects.toMatchObject({ code: 'evidence_missing' });
  },
);
