// Runners that a hostile image has taken over: they speak the protocol, and mean to cost the collector its memory, its time or its answers.
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { GetAnalysisResponseSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { presentAnalysis } from '../api/present-analysis.ts';
import { request, states } from '../testing/states.ts';
import type { AnalysisReport } from './analysis.ts';
import { createAnalysis } from './analyze.ts';
import { type AnalysisLimits, defaultLimits } from './limits.ts';
import { OutputBudget } from './output-budget.ts';
import { rowBoundOf } from './plugins.ts';
import { readColumn } from './results.ts';
import { program } from './testing/faulty-job.ts';

let dir: string;
let outputDir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kcorder-hostile-'));
  outputDir = join(dir, 'analysis');
  await mkdir(outputDir);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function run(plugins: string[], own: Partial<AnalysisLimits> = {}, lines?: string): Promise<AnalysisReport> {
  const banner = lines === undefined ? 'banner of the image' : 'prints what it is told';
  const job = {
    captureId: request.id,
    image: { kind: 'lime', path: import.meta.filename },
    symbols: { isfPath: '/nonexistent.json', isfSha256: 'ab'.repeat(32), source: 'a test', quality: 'dwarf' },
    kernel: { banner, vmcoreinfo: lines ?? '' },
    ...{ containers: [], outputDir, plugins },
  } as const;
  const rules = { workers: 1 };
  return createAnalysis(program, { ...defaultLimits, ...own }, rules).analyze(job, new AbortController().signal);
}

/** The answer to GetAnalysis as its caller decodes it. */
async function answer(rowPlugins: string[]) {
  const capture = { request, state: states.done, durableBytes: 0 };
  const response = await presentAnalysis(
    capture,
    { pathOf: () => dir },
    { rowPlugins, unmask: false },
    { of: () => [] },
  );
  return fromBinary(
    GetAnalysisResponseSchema,
    toBinary(GetAnalysisResponseSchema, create(GetAnalysisResponseSchema, response)),
  );
}

test.each([
  ['cells that hold others', 'nested'],
  ['a cell deeper than any stack', 'deep'],
  ['a type deeper than any stack', 'deep_type'],
  ['rows without a column', 'no_columns'],
  ['more rows at once than an honest one', 'many_rows'],
])('a plugin that prints %s fails by itself, as a breach of the protocol', async (_what, plugin) => {
  const report = await run(['before', plugin, 'after']);
  expect(report.plugins.map(({ state, reason }) => [state, reason])).toEqual([
    ['rows', ''],
    ['failed', 'protocol'],
    ['rows', ''],
  ]);
});

test('plugins that print for ever leave the others a share of the output, and each costs half of what it printed', async () => {
  const report = await run(['flood', 'before', 'endless_line', 'after'], { outputBytes: 2 ** 20, lineBytes: 2 ** 20 });
  expect(report.plugins.map(({ state }) => state)).toEqual(['failed', 'rows', 'failed', 'rows']);
});

test('all that failed plugins print is twice the limit at most, however many they are', () => {
  const budget = new OutputBudget(1_000);
  let printed = 0;
  for (let plugin = 0; plugin < 100; plugin += 1) {
    const share = budget.open();
    while (budget.take(share, 1) === undefined) printed += 1;
    budget.refundHalf(share);
  }
  expect(printed).toBeGreaterThan(1_500);
  expect(printed).toBeLessThanOrEqual(2_000);
});

test('rows beyond the bound of a plugin are cut, and it says so', async () => {
  const report = await run(['hiddenModules', 'after']);
  const [cut, after] = report.plugins;
  const kept = cut?.rowCount ?? 0;
  expect(cut?.warnings).toEqual([`truncated: the first ${kept} of 5000 rows are kept`, 'one page was not there']);
  expect(after).toMatchObject({ state: 'rows', rowCount: 2, warnings: ['one page was not there'] });
  const { size } = await stat(join(outputDir, 'hiddenModules.jsonl'));
  expect(size).toBeLessThanOrEqual(rowBoundOf('hiddenModules').bytes);
  expect(size).toBeGreaterThan(rowBoundOf('hiddenModules').bytes - 2_000);
  const names = await readColumn(outputDir, report, 'hiddenModules', 'value');
  expect(names.map((name) => Number.parseInt(name, 10))).toEqual(Array.from({ length: kept }, (_, index) => index));
});

test('the rows of an answer are those that the plugin printed', async () => {
  const cells = [
    [1.5, 'a\ud800b', null, true],
    [-1, '', '\u{1f600}', false],
  ];
  const rows = Array.from({ length: 1_001 }, (_, index) => cells[index % 2]);
  const batches = [rows.slice(0, 600), rows.slice(600)].map((batch) => ({
    rows: batch,
    columns: ['a', 'b', 'c', 'd'],
  }));
  await run(['p', 'q'], {}, linesOf({}, batches));
  const { plugins } = await answer(['p']);
  const kinds = plugins.map((plugin) => plugin.rows.map((row) => row.values.map(({ kind }) => kind.value)));
  const asWritten = (cell: unknown) => (cell === null ? 0 : typeof cell === 'string' ? cell.toWellFormed() : cell);
  expect(kinds).toEqual([rows.map((row) => row?.map(asWritten)), []]);
});

/** What JSON takes and JSON.stringify does not print. */
const infinity = '@infinity@';

type Fields = Readonly<Record<string, unknown>>;

/** The lines of a whole run over the plugins p and q, with some fields replaced. */
function linesOf(
  changed: Fields,
  batches: readonly object[] = [{ columns: ['a'], rows: [[changed.cell ?? 1]] }],
): string {
  const pick = (fields: Fields) =>
    Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, changed[name] ?? value]));
  const rows = batches.map((batch) => ({ type: 'rows', plugin: 'p', ...pick(batch as Fields) }));
  const count = batches.reduce((sum, batch) => sum + ('rows' in batch ? (batch.rows as []).length : 0), 0);
  const lines = [
    { type: 'confined', ...pick({ level: 'full', landlockAbi: 7, seccomp: true }) },
    {
      type: 'kernel',
      ...pick({ imageBanner: 'x', kernelMismatch: false, pagingLevels: 4, kernelOffset: '0x0', dtb: '0x1' }),
    },
    { type: 'plugin', plugin: 'p', state: 'started' },
    ...rows,
    { type: 'plugin', plugin: 'p', state: 'rows', rows: count, ...pick({ seconds: 1, warnings: [] }) },
    { type: 'plugin', plugin: 'q', state: 'started' },
    { type: 'plugin', plugin: 'q', state: 'failed', rows: 0, ...pick({ seconds: 1, warnings: [], reason: 'x' }) },
    'fatal' in changed
      ? { type: 'fatal', reason: changed.fatal, detail: changed.detail ?? '' }
      : { type: changed.last ?? 'done', ...pick({ versions: { python: '3' } }) },
  ];
  return lines.map((line) => `${JSON.stringify(line).replaceAll(`"${infinity}"`, '1e999')}\n`).join('');
}

async function expectReadable(changed: Fields): Promise<void> {
  const report = await run(['p', 'q'], {}, linesOf(changed));
  const { plugins, processes } = await answer(['p', 'q']);
  expect(plugins.map(({ name }) => name)).toEqual(['p', 'q']);
  expect(processes).toEqual([]);
  const ours = [
    report.reason,
    report.detail,
    ...report.plugins.flatMap((plugin) => [plugin.reason, ...plugin.warnings]),
  ];
  expect(ours.filter((text) => !text.isWellFormed())).toEqual([]);
  expect(JSON.stringify(report).length).toBeLessThan(2 ** 20);
}

/** Texts whose characters are split where something of ours cuts. */
const split = [80, 128, 500, 1_000, 2_048, 4_096].map((length) => `${'x'.repeat(length - 1)}\u{1f600}`);

test.each<[string, Fields]>([
  ['an impossible version of Landlock', { landlockAbi: 1e300 }],
  ['a broken number of paging levels', { pagingLevels: 4.5 }],
  ['an endless time', { seconds: infinity }],
  ['a time that is too long to be true', { seconds: 1e300 }],
  [
    '256 long columns',
    { columns: Array.from({ length: 256 }, () => '\u0001'.repeat(1_000)), rows: [Array(256).fill(0)] },
  ],
  [
    'long versions',
    { versions: Object.fromEntries([...'abcdef'].map((name) => [name + '\u0001'.repeat(50_000), ''])) },
  ],
  ['many versions', { versions: Object.fromEntries(Array.from({ length: 9_999 }, (_, index) => [index, 'x'])) }],
  ['many warnings', { warnings: Array.from({ length: 9_999 }, () => 'x') }],
  ['warnings that are cut within a character', { warnings: split }],
  ...split.map((text): [string, Fields] => [`a reason cut at ${text.length - 1}`, { reason: text }]),
  ...split.map((text): [string, Fields] => [`an unknown line cut at ${text.length - 1}`, { last: text }]),
  ['an end of another make', { fatal: 'pwned_label_'.repeat(400), detail: `${'x'.repeat(4_095)}\u{1f600}` }],
])('a runner that tells %s does not make the report unreadable', async (_what, changed) => {
  await expectReadable(changed);
});

test('nothing that a runner tells makes the report unreadable', async () => {
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }), fc.constantFrom('\ud800', '\udc00x', ...split));
  const number = fc.oneof(fc.nat(), fc.double(), fc.constantFrom(infinity, 1e300, 2 ** 32, 0.5));
  const fields = fc.record(
    {
      ...{
        landlockAbi: number,
        pagingLevels: number,
        seconds: number,
        level: fc.constantFrom('none', 'partial', 'no'),
      },
      ...{ imageBanner: text, kernelOffset: text, dtb: text, reason: text, detail: text, last: text, cell: text },
      warnings: fc.array(text, { maxLength: 120 }),
      columns: fc.tuple(text),
      versions: fc.dictionary(text, fc.oneof(text, number)),
    },
    { requiredKeys: [] },
  );
  await fc.assert(fc.asyncProperty(fields, expectReadable), { numRuns: 25 });
}, 60_000);
