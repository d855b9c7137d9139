import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { addTo, readAddable } from './addition.ts';
import type { AnalysisJob, AnalysisReport, PluginReport } from './analysis.ts';
import { clearResults } from './leftovers.ts';
import { readReport, writeReport } from './report-file.ts';
import { streamRows } from './results.ts';
import { rowPath } from './row-file.ts';
import { makeJob } from './testing/faulty-job.ts';
import { report as doneReport } from './testing/queue-rig.ts';

/** Calls to the disk that are left before whoever makes them is killed. */
const disk = vi.hoisted(() => ({ calls: Number.POSITIVE_INFINITY }));
vi.mock(import('node:fs/promises'), async (original) => {
  const real = await original();
  const counted = (name: 'mkdtemp' | 'rename' | 'rm' | 'open' | 'readdir') => {
    const call = real[name] as (...given: unknown[]) => Promise<unknown>;
    return async (...given: unknown[]) => {
      disk.calls -= 1;
      if (disk.calls < 0) throw new Error('killed');
      return await call(...given);
    };
  };
  const names = ['mkdtemp', 'rename', 'rm', 'open', 'readdir'] as const;
  return { ...real, ...Object.fromEntries(names.map((name) => [name, counted(name)])) };
});

let scratch: ReturnType<typeof makeScratch>;
let outputDir: string;
beforeEach(async () => {
  disk.calls = Number.POSITIVE_INFINITY;
  scratch = makeScratch();
  outputDir = join(scratch.dir, 'analysis');
  await mkdir(outputDir);
});
afterEach(() => scratch[Symbol.dispose]());

const lsof = 'linux.lsof.Lsof';
const bash = 'linux.bash.Bash';
const job = (plugins: AnalysisJob['plugins'] = ['processes', { name: lsof }]): AnalysisJob => ({
  ...makeJob(outputDir, []),
  plugins: plugins ?? [],
  adds: true,
});

const ended = (name: string, rowCount: number): PluginReport => ({
  ...{ name, state: rowCount > 0 ? 'rows' : 'empty', reason: '', rowCount, seconds: 1, warnings: [] },
  columns: ['text'],
});

/** Writes what a run would: rows with a text, and the report of them. */
async function results(dir: string, text: string, plugins: readonly string[]): Promise<AnalysisReport> {
  for (const name of plugins) await writeFile(rowPath(dir, name), `["${text}"]\n`);
  return {
    ...doneReport,
    plugins: plugins.map((name) => ended(name, 1)),
    symbols: job().symbols,
    versions: { volatility: '2.28.2', python: '3.13.5' },
  };
}

const runs =
  (text: string, changes: Partial<AnalysisReport> = {}) =>
  async (own: AnalysisJob): Promise<AnalysisReport> => {
    const names = (own.plugins ?? []).map((plugin) => (typeof plugin === 'string' ? plugin : plugin.name));
    return { ...(await results(own.outputDir, text, names)), ...changes };
  };

async function earlier(): Promise<AnalysisReport> {
  const report = await results(outputDir, 'old', ['processes', lsof, 'sockets']);
  await writeReport(outputDir, report);
  for (const name of ['results.sqlite', 'results-unmasked.sqlite']) writeFileSync(join(outputDir, name), 'old');
  return report;
}

/** The text of each plugin's rows, as readers of the directory see them. */
async function told(): Promise<Record<string, string[]>> {
  const report = await readReport(outputDir);
  const texts: Record<string, string[]> = {};
  for (const { name } of report?.plugins ?? []) {
    texts[name] = [];
    for await (const [text] of streamRows(outputDir, report as AnalysisReport, name)) texts[name].push(String(text));
  }
  return texts;
}

const old = { processes: ['old'], [lsof]: ['old'], sockets: ['old'] };

test('plugins are added: their rows replace their earlier ones, and all others stay as they are', async () => {
  const before = await earlier();
  const report = await addTo(before, job([{ name: lsof }, { name: bash }]), runs('new', { kernelMismatch: true }));
  expect(await told()).toEqual({ ...old, [lsof]: ['new'], [bash]: ['new'] });
  expect(report).toMatchObject({ state: 'done', added: [lsof, bash], kernelMismatch: true, seconds: 2 });
  expect(await readReport(outputDir)).toEqual({ version: 1, ...report });
  const [directory] = report.plugins.flatMap((plugin) => plugin.directory ?? []);
  // The replaced rows and the files of the earlier results are gone.
  expect(readdirSync(outputDir).toSorted()).toEqual([directory, 'processes.jsonl', 'report.json', 'sockets.jsonl']);
  const again = await addTo(report, job([{ name: bash }]), runs('newest'));
  expect(await told()).toEqual({ ...old, [lsof]: ['new'], [bash]: ['newest'] });
  expect(again.added).toEqual([bash]);
  const third = await addTo(again, job([{ name: lsof }]), runs('third'));
  expect(readdirSync(outputDir).filter((name) => name.startsWith('added-'))).toHaveLength(2);
  expect(third.plugins.map(({ name }) => name)).toEqual(['processes', lsof, 'sockets', bash]);
});

test('the process table is not run again for what is added, unless it is missing or named', async () => {
  const before = await earlier();
  const ran: unknown[] = [];
  const run = async (own: AnalysisJob) => {
    ran.push(own.plugins);
    return await runs('new')(own);
  };
  await addTo(before, job(), run);
  const failed: PluginReport = { ...ended('processes', 0), state: 'failed', reason: 'timeout' };
  await addTo({ ...before, plugins: [failed, ended('sockets', 0)] }, job(), run);
  await addTo(before, job([{ name: 'processes' }]), run);
  expect(ran).toEqual([[{ name: lsof }], ['processes', { name: lsof }], [{ name: 'processes' }]]);
});

test.each<[string, Partial<AnalysisReport>, string]>([
  ['fails as a whole', { state: 'failed', reason: 'plugins_failed', kernelMismatch: true }, 'plugins_failed'],
  ['is canceled', { state: 'failed', reason: 'canceled' }, 'canceled'],
  ['is of another Volatility', { versions: { volatility: '2.29.0' } }, 'versions_changed'],
])('an addition that %s leaves the earlier results as they were', async (_what, changes, reason) => {
  const before = await earlier();
  const report = await addTo(before, job(), runs('new', changes));
  expect(report).toMatchObject({ state: 'failed', reason, kernelMismatch: false });
  expect(await told()).toEqual(old);
  expect(readFileSync(join(outputDir, 'results.sqlite'), 'utf8')).toBe('old');
  expect(readdirSync(outputDir).filter((name) => name.startsWith('added-'))).toEqual([]);
});

test('a plugin that fails when it runs again keeps its earlier rows, and that is told once', async () => {
  const failing = async (own: AnalysisJob) => {
    const report = await runs('new')(own);
    const failed = { state: 'failed', rowCount: 0, reason: 'timeout' } as const;
    return { ...report, plugins: report.plugins.map((each) => (each.name === lsof ? { ...each, ...failed } : each)) };
  };
  const both = job([{ name: lsof }, { name: bash }]);
  const report = await addTo(await addTo(await earlier(), both, failing), both, failing);
  expect(await told()).toEqual({ ...old, [bash]: ['new'] });
  expect(report.plugins.find(({ name }) => name === lsof)).toMatchObject({
    ...{ state: 'rows', rowCount: 1, reason: '' },
    warnings: ['not_replaced: the plugin ran again and failed (timeout), so this is its earlier result'],
  });
  const last = await addTo(report, job([{ name: lsof }]), runs('new'));
  expect(last.plugins.find(({ name }) => name === lsof)?.warnings).toEqual([]);
  expect(await told()).toEqual({ ...old, [lsof]: ['new'], [bash]: ['new'] });
});

test('results of other symbols take no more plugins, and what to do is said', async () => {
  const before = { ...(await earlier()), symbols: { ...job().symbols, isfSha256: 'cd'.repeat(32) } };
  const report = await addTo(before, job(), () => expect.fail('it ran'));
  expect(report).toMatchObject({
    ...{ state: 'failed', reason: 'symbols_changed' },
    detail: expect.stringMatching(/made with the symbols cdcd.*kcorder analyze c-1 --profile NAME/),
  });
  expect(await told()).toEqual(old);
});

test('a run that throws leaves nothing of itself', async () => {
  const before = await earlier();
  const run = () => Promise.reject(new Error('the disk is full'));
  await expect(addTo(before, job(), run)).rejects.toThrow('the disk is full');
  expect(await told()).toEqual(old);
  expect(readdirSync(outputDir).filter((name) => name.startsWith('added-'))).toEqual([]);
});

test('whoever is killed at any step leaves the earlier results or the new ones, and the next analysis removes the rest', async () => {
  const wanted = { ...old, [lsof]: ['new'], [bash]: ['new'] };
  const seen: string[] = [];
  for (let calls = 0; ; calls += 1) {
    disk.calls = Number.POSITIVE_INFINITY;
    await clearResults(outputDir);
    const before = await earlier();
    disk.calls = calls;
    const end = await addTo(before, job([{ name: lsof }, { name: bash }]), runs('new')).catch(() => 'killed');
    const isDead = disk.calls < 0;
    disk.calls = Number.POSITIVE_INFINITY;
    const found = await told();
    seen.push(found[bash] === undefined ? 'earlier' : 'new');
    expect(found).toEqual(found[bash] === undefined ? old : wanted);
    if (end !== 'killed') expect(found).toEqual(wanted);
    const whole = await readReport(outputDir);
    const last = await addTo(whole as AnalysisReport, job([{ name: 'sockets' }]), runs('last'));
    const kept = last.plugins.map(({ name, directory = '' }) => join(directory, `${name}.jsonl`));
    const files = readdirSync(outputDir, { recursive: true }).map(String);
    expect(files.filter((name) => name.endsWith('.jsonl')).toSorted()).toEqual(kept.toSorted());
    if (!isDead) break;
  }
  expect(seen[0]).toBe('earlier');
  expect(seen.toSorted()).toEqual(seen);
  expect(seen.filter((each) => each === 'new').length).toBeGreaterThan(3);
});

test('only results of which something did not fail can be added to', async () => {
  expect(await readAddable(outputDir)).toBeUndefined();
  const before = await earlier();
  expect(await readAddable(outputDir)).toMatchObject({ captureId: 'c-1' });
  const failed = before.plugins.map((plugin) => ({ ...plugin, state: 'failed' as const, rowCount: 0 }));
  await writeReport(outputDir, { ...before, plugins: failed });
  expect(await readAddable(outputDir)).toBeUndefined();
});
