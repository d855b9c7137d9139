import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AnalysisReport } from './analysis.ts';
import { createAnalysis } from './analyze.ts';
import { probeSurroundings } from './isolation.ts';
import type { AnalysisLimits } from './limits.ts';
import { readReport } from './report-file.ts';
import { limits, makeJob, program } from './testing/faulty-job.ts';

let outputDir: string;
beforeEach(async () => {
  outputDir = await mkdtemp(join(tmpdir(), 'kcorder-analysis-'));
});
afterEach(() => rm(outputDir, { recursive: true, force: true }));

function run(plugins: string[], own: Partial<AnalysisLimits> = {}, banner?: string): Promise<AnalysisReport> {
  return createAnalysis(program, { ...limits, ...own }).analyze(
    makeJob(outputDir, plugins, banner),
    new AbortController().signal,
  );
}

/** Whether a process runs; one that is dead and waits for its parent does not. */
function lives(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

describe('a plugin that misbehaves costs only itself', () => {
  test.each<[string, string, string, Partial<AnalysisLimits>]>([
    ['hangs', 'hang', 'timeout', { pluginWallMs: 1_500 }],
    ['dies by a signal', 'segv', 'signal SIGSEGV', {}],
    ['ends its worker as if all were well', 'quit', 'exit 0', {}],
    ['crashes its worker', 'crash', 'exit 1', {}],
    ['gives up with its worker', 'gives_up', 'out_of_memory', {}],
    ['is killed in the middle of a line', 'half_a_line', 'signal SIGKILL', {}],
    ['claims that its worker has died', 'claims_to_have_died', 'protocol', {}],
    ['claims so, and to be the next that gives up for all', 'succeeds_itself', 'protocol', {}],
    ['gives up for all workers', 'voids_all', 'image_unreadable', {}],
    ['prints for ever what nobody reads', 'cuts_off_for_ever', 'output_limit', {}],
    ['prints half a line of JSON', 'garbage', 'protocol', {}],
    ['prints bytes that are no text', 'binary', 'protocol', {}],
    ['prints a line of unknown type', 'unknown_line', 'protocol', {}],
    ['prints rows that do not fit the columns', 'ragged', 'protocol', {}],
    ['prints rows of another plugin', 'other_rows', 'protocol', {}],
    ['changes its columns', 'new_columns', 'protocol', {}],
    ['counts rows that never came', 'lost_rows', 'protocol', {}],
    ['calls itself empty after rows', 'false_empty', 'protocol', {}],
    ['starts another plugin in its middle', 'starts_other', 'protocol', {}],
    ['ends the whole run early', 'done_early', 'protocol', {}],
    ['says itself that it failed', 'partial_failure', 'out_of_memory', {}],
    ['prints rows for ever', 'flood', 'output_limit', {}],
    ['prints one line for ever', 'endless_line', 'output_limit', {}],
    ['takes all memory', 'allocate', 'out_of_memory', { memoryBytes: 300 * 2 ** 20 }],
  ])('one that %s', async (_what, plugin, reason, own) => {
    const plugins = ['before', plugin, 'nothing', 'after'];
    const report = await run(plugins, own);
    const others = ['rows', 'failed', 'empty', 'rows'];
    expect(report.plugins.map(({ state }) => state)).toEqual(others);
    expect(report.plugins[1]).toMatchObject({ name: plugin, reason, rowCount: 0 });
    expect(report.state).toBe('done');
    const rows = others.flatMap((state, index) => (state === 'rows' ? [`${plugins[index]}.jsonl`] : []));
    expect((await readdir(outputDir)).sort()).toEqual([...rows, 'report.json'].sort());
    for (const name of rows) {
      const [pid] = JSON.parse((await readFile(join(outputDir, name), 'utf8')).split('\n')[0] ?? '');
      expect(lives(pid)).toBe(false);
    }
  });

  test('one that this kernel does not support is no failure and leaves no rows', async () => {
    const report = await run(['unsupported']);
    const end = { state: 'unsupported', reason: "the kernel's symbols have no prog_idr", rowCount: 0 };
    expect(report).toMatchObject({ state: 'done', plugins: [end] });
    expect(await readdir(outputDir)).toEqual(['report.json']);
  });

  test('what it has started is gone with it, in its process group or out of it', async () => {
    const report = await run(['children'], { pluginWallMs: 2_000 });
    const pids = /children (\d+) (\d+)/.exec(report.diagnostics.join())?.slice(1).map(Number) ?? [];
    expect(pids).toHaveLength(2);
    expect(pids.filter(lives)).toEqual([]);
    expect(report).toMatchObject({ state: 'failed', reason: 'plugins_failed' });
  });

  test.each([1, 2, 4])('and with it its worker of %i, while all others have their rows', async (workers) => {
    const bad = ['hang', 'segv', 'flood', 'quit', 'garbage', 'endless_line', 'half_a_line', 'claims_to_have_died'];
    const good = Array.from({ length: 12 }, (_, index) => `good_${index}`);
    const plugins = bad.flatMap((name, index) => [name, good[index] ?? '']).concat(good.slice(bad.length));
    const analysis = createAnalysis(program, { ...limits, pluginWallMs: 6_000 }, { workers });
    const report = await analysis.analyze(makeJob(outputDir, plugins), new AbortController().signal);
    const reasons = Object.fromEntries(report.plugins.map(({ name, reason }) => [name, reason]));
    expect(reasons).toEqual({
      ...Object.fromEntries(good.map((name) => [name, ''])),
      ...{ hang: 'timeout', segv: 'signal SIGSEGV', flood: 'output_limit', quit: 'exit 0', garbage: 'protocol' },
      ...{ endless_line: 'output_limit', half_a_line: 'signal SIGKILL', claims_to_have_died: 'protocol' },
    });
    expect(report.plugins.map(({ name }) => name)).toEqual(plugins);
    expect(report.state).toBe('done');
  });

  test('a worker that has nothing to do any more and stays is ended when a step of its would be', async () => {
    const report = await run(['before', 'stays'], { pluginWallMs: 1_500 });
    expect(report.plugins.map(({ state }) => state)).toEqual(['rows', 'empty']);
    expect(report.diagnostics.join()).toMatch(/^timeout: one step took longer/);
  });

  test('two in a row cost two restarts', async () => {
    const report = await run(['segv', 'quit', 'after']);
    expect(report.plugins.map(({ reason }) => reason)).toEqual(['signal SIGSEGV', 'exit 0', '']);
    expect(report.diagnostics).toHaveLength(2);
  });
});

describe('a run that never comes to its plugins fails the analysis', () => {
  test.each<[string, string, Partial<AnalysisLimits>]>([
    ['says fatal', 'symbols_mismatch', {}],
    ['lacks a module', 'runner_unavailable', {}],
    ['hangs', 'timeout', { pluginWallMs: 1_500 }],
    ['dies by a signal', 'signal SIGSEGV', {}],
    ['ends silently', 'runner_failed', {}],
    ['prints rubbish', 'protocol', {}],
    ['runs a plugin at once', 'protocol', {}],
  ])('one that %s', async (banner, reason, own) => {
    const report = await run(['before', 'after'], own, banner);
    expect(report).toMatchObject({ state: 'failed', reason });
    expect(report.detail).not.toBe('');
    expect(report.plugins.map((plugin) => plugin.reason)).toEqual([
      expect.stringContaining('not_run'),
      expect.stringContaining('not_run'),
    ]);
    expect(await readdir(outputDir)).toEqual(['report.json']);
  });

  test.each([
    ['no Python is there', { ...program, python: '/nonexistent/bin/python' }],
    ['the runner is not there', { ...program, entry: '/nonexistent/run.py' }],
    ['Python is no program', { ...program, python: program.entry }],
  ])('%s: it says so and what to do', async (_what, broken) => {
    const report = await createAnalysis(broken, limits).analyze(
      makeJob(outputDir, ['before']),
      new AbortController().signal,
    );
    expect(report).toMatchObject({ state: 'failed', reason: 'runner_unavailable' });
    expect(report.detail).toContain('pip install');
  });
});

test('the limit of the whole analysis ends it with what there is', async () => {
  const job = makeJob(outputDir, ['before', 'hang', 'after']);
  const alone = createAnalysis(program, { ...limits, wallMs: 2_500 }, { workers: 1 });
  const report = await alone.analyze(job, new AbortController().signal);
  expect(report.plugins.map(({ reason }) => reason)).toEqual(['', 'timeout', 'not_run: timeout']);
  expect(report.state).toBe('done');
});

test('a kernel of another banner than the node told is on record', async () => {
  const report = await run(['before'], {}, 'what the node told');
  expect(report).toMatchObject({ kernelMismatch: true, kernel: { banner: 'banner of the image', pagingLevels: 4 } });
  expect(report.versions).toEqual({ volatility: '2.28.2', python: '3.11.2' });
});

test.each([
  ['another', 'cd'.repeat(20), true],
  ['the same', 'ab'.repeat(20), false],
  ['none', '', false],
])('a node that told %s build-id than the image has', async (_what, buildId, kernelMismatch) => {
  const job = makeJob(outputDir, ['before']);
  const told = { ...job, kernel: { ...job.kernel, buildId } };
  const ended = createAnalysis(program, limits).analyze(told, new AbortController().signal);
  await expect(ended).resolves.toMatchObject({ kernelMismatch, kernel: { buildId: 'ab'.repeat(20) } });
});

test('the runner gets a minimal environment, no network where that can be had, and a directory that goes', async () => {
  process.env.KCORDER_TEST_SECRET = 'hidden';
  const report = await run(['surroundings']);
  delete process.env.KCORDER_TEST_SECRET;
  const lines = (await readFile(join(outputDir, 'surroundings.jsonl'), 'utf8')).trim().split('\n');
  const [[environment], [interfaces], [directory], [firstToGo]] = lines.map((line) => JSON.parse(line));
  expect(firstToGo).toBe('1000');
  expect(environment.split(',').sort()).toEqual([
    'HOME',
    'LANG',
    'PATH',
    'PYTHONDONTWRITEBYTECODE',
    'TMPDIR',
    'XDG_CACHE_HOME',
  ]);
  if (report.isolation.network === 'none') expect(interfaces).toBe('');
  expect(directory.startsWith(outputDir)).toBe(true);
  expect(existsSync(directory)).toBe(false);
});

test('much text on stderr neither blocks the runner nor gets kept', async () => {
  const report = await run(['stderr', 'quit']);
  expect(report.plugins[0]).toMatchObject({ state: 'empty', warnings: ['one page was not there'] });
  expect(report.diagnostics.join().length).toBeLessThan(3_000);
});

test('an analysis that is aborted throws the reason and leaves neither files nor processes', async () => {
  const controller = new AbortController();
  const job = makeJob(outputDir, ['before', 'children']);
  const analysis = createAnalysis(program, limits, { workers: 1 }).analyze(job, controller.signal);
  const settled = analysis.catch((error: unknown) => error);
  while (!existsSync(join(outputDir, 'children.jsonl.part'))) await sleep(20);
  const [pid] = JSON.parse((await readFile(join(outputDir, 'before.jsonl'), 'utf8')).split('\n')[0] ?? '');
  expect(lives(pid)).toBe(true);
  const reason = new Fault('canceled', 'the collector stops');
  controller.abort(reason);
  expect(await settled).toBe(reason);
  expect(await readdir(outputDir)).toEqual([]);
  expect(lives(pid)).toBe(false);
});

test('a collector that is killed takes the runner with it, where this machine can do that', async () => {
  const { isolation } = await probeSurroundings();
  const script = `
    import { createAnalysis } from ${JSON.stringify(join(import.meta.dirname, 'analyze.ts'))};
    const job = ${JSON.stringify(makeJob(outputDir, ['before', 'hang']))};
    const rules = { workers: 1 };
    await createAnalysis(${JSON.stringify(program)}, ${JSON.stringify(limits)}, rules).analyze(job, new AbortController().signal);`;
  const collector = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
  const ended = once(collector, 'exit');
  const rows = join(outputDir, 'before.jsonl');
  while (!existsSync(rows)) await sleep(20);
  const [pid] = JSON.parse((await readFile(rows, 'utf8')).split('\n')[0] ?? '');
  expect(lives(pid)).toBe(true);
  collector.kill('SIGKILL');
  await ended;
  if (!isolation.endsWithCollector) process.kill(pid, 'SIGKILL');
  while (lives(pid)) await sleep(20);
});

test('a second analysis replaces the first, and what a killed one left goes', async () => {
  await run(['before', 'after']);
  await writeFile(join(outputDir, 'left.jsonl.part'), 'x');
  // Made of the report before, with its rows.
  for (const name of ['results.sqlite', 'results-unmasked.sqlite']) await writeFile(join(outputDir, name), 'x');
  const report = await run(['after']);
  expect((await readdir(outputDir)).sort()).toEqual(['after.jsonl', 'report.json']);
  expect(await readReport(outputDir)).toEqual({ version: 1, ...report });
});

test('results that cannot be written are a fault that names the place', async () => {
  await writeFile(join(outputDir, 'file'), '');
  const job = { ...makeJob(outputDir, ['before']), outputDir: join(outputDir, 'file', 'below') };
  const analysis = createAnalysis(program, limits).analyze(job, new AbortController().signal);
  await expect(analysis).rejects.toMatchObject({
    code: 'storage_failed',
    message: expect.stringContaining(job.outputDir),
  });
});

test.each([[[]], [['a', 'a']], [['../../etc/passwd']], [['']]])('the plugins %j are refused', async (plugins) => {
  await expect(run(plugins)).rejects.toMatchObject({ code: 'invalid_argument' });
});
