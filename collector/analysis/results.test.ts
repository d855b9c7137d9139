import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toJson } from '@bufbuild/protobuf';
import { ListValueSchema } from '@bufbuild/protobuf/wkt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AnalysisReport, PluginReport } from './analysis.ts';
import { reportPath, writeReport } from './report-file.ts';
import { readProcesses, readReport, readRows } from './results.ts';
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

test('rows come back as they were, as protobuf lists', async () => {
  const rows = [
    [1, 'a', null, true, 1.5],
    ['0xffff888000000000', { nested: [1] }, '', false, 0],
  ];
  await put([plugin('p', 2, ['a', 'b', 'c', 'd', 'e'])], { p: rows });
  expect((await readRows(outputDir, 'p')).map((row) => toJson(ListValueSchema, row))).toEqual(rows);
});

test.each([
  ['an empty plugin', plugin('p', 0)],
  ['a failed plugin', plugin('p', 0, [], { state: 'failed', reason: 'timeout' })],
])('%s has no rows', async (_what, report) => {
  await put([report], {});
  expect(await readRows(outputDir, 'p')).toEqual([]);
});

test.each<[string, (path: string) => Promise<void>]>([
  ['are not there', (path) => rm(path)],
  [
    'are cut at a line',
    async (path) => writeFile(path, (await readFile(path, 'utf8')).split('\n').slice(0, 1).join('\n')),
  ],
  ['are cut within a line', async (path) => writeFile(path, (await readFile(path, 'utf8')).slice(0, -3))],
  ['are no rows', (path) => writeFile(path, '{}\n{}\n')],
])('rows that %s are a fault, never fewer rows', async (_what, damage) => {
  await put([plugin('p', 2, ['a'])], { p: [[1], [2]] });
  await damage(rowPath(outputDir, 'p'));
  await expect(readRows(outputDir, 'p')).rejects.toMatchObject({ code: 'evidence_missing' });
});

test('a plugin that was not run is a fault that names those that were', async () => {
  await put([plugin('p', 0)], {});
  await expect(readRows(outputDir, 'q')).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining('there are p'),
  });
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

test('more processes than can be joined in memory are a fault', async () => {
  const report = await put([plugin('processes', 1_000_000, ['pid'])], {});
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
