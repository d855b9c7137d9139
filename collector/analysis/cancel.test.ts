import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AuditLog } from '../journal/audit-log.ts';
import { until } from '../testing/files.ts';
import type { AnalysisJob, AnalysisReport } from './analysis.ts';
import { createAnalysis } from './analyze.ts';
import { readReport } from './report-file.ts';
import { limits, makeJob, program } from './testing/faulty-job.ts';
import { report, rig } from './testing/queue-rig.ts';

const canceled = { kind: 'failed', reason: 'canceled', detail: 'canceled by operator/alice' };

/** An analysis that ends when it is canceled, as the real one does. */
async function untilCanceled({ canceled: signal }: AnalysisJob): Promise<AnalysisReport> {
  if (signal?.aborted !== true) await new Promise((resolve) => signal?.addEventListener('abort', resolve));
  return { ...report, state: 'failed', reason: 'canceled', detail: '' };
}

const actionsOf = (r: ReturnType<typeof rig>, id: string) =>
  new AuditLog(r.database).of(id).map(({ actor, action }) => `${action} by ${actor}`);

test('the analysis that follows a capture is canceled while it runs; the next one runs', async () => {
  await using r = rig({ analyze: async (job) => (job.captureId === 'c-1' ? await untilCanceled(job) : report) });
  r.sealed('c-1');
  r.sealed('c-2');
  r.queue.wake();
  await until(() => r.jobs.length === 1);
  r.queue.cancel('c-1', 'operator/alice');
  expect((await r.done('c-1')).analysis).toEqual(canceled);
  expect((await r.done('c-2')).analysis).toEqual({ kind: 'done' });
  expect(actionsOf(r, 'c-1').slice(-2)).toEqual(['analysis_canceled by operator/alice', 'analysis_ended by collector']);
  expect(r.failures).toEqual([]);
});

test('analyses that wait are canceled at once, and what runs meanwhile goes on', async () => {
  await using r = rig({ analyze: async (job) => (job.captureId === 'c-1' ? await untilCanceled(job) : report) });
  for (const id of ['c-1', 'c-2', 'c-3']) r.sealed(id);
  r.journal.apply('c-3', { kind: 'analysis_ended', at: '2026-01-01T00:00:00.000Z', ending: { kind: 'done' } }, 'test');
  r.again.ask('c-3', 'operator/bob', { profile: 'deep' });
  r.queue.wake();
  await until(() => r.jobs.length === 1);
  r.queue.cancel('c-2', 'operator/alice');
  r.queue.cancel('c-3', 'operator/alice');
  expect((await r.done('c-2')).analysis).toEqual(canceled);
  expect(r.again.get('c-3')).toEqual({ kind: 'ended', ending: canceled });
  expect(r.journal.get('c-1').state.phase).toBe('analyzing');
  r.again.ask('c-3', 'operator/bob');
  r.queue.cancel('c-1', 'operator/alice');
  await until(() => r.again.get('c-3')?.kind === 'ended');
  expect(r.jobs.map(({ captureId }) => captureId)).toEqual(['c-1', 'c-3']);
});

test('an analysis that waits for its symbols is canceled', async () => {
  const find = (signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
  await using r = rig({ find });
  r.sealed('c-1');
  r.queue.wake();
  await until(() => r.journal.get('c-1').state.phase === 'analyzing');
  r.queue.cancel('c-1', 'operator/alice');
  expect((await r.done('c-1')).analysis).toEqual(canceled);
  expect([r.jobs, r.failures]).toEqual([[], []]);
});

test('one that was begun by a collector that ended is canceled before its turn comes', async () => {
  await using r = rig();
  r.sealed('c-1');
  r.journal.apply('c-1', { kind: 'analysis_started', at: '2026-01-01T00:00:00.000Z' }, 'collector');
  r.queue.cancel('c-1', 'operator/alice');
  expect((await r.done('c-1')).analysis).toEqual(canceled);
});

test('a running analysis is not taken for a waiting one when another is canceled', async () => {
  await using r = rig({ analyze: untilCanceled });
  for (const id of ['c-1', 'c-2']) {
    r.sealed(id);
    r.journal.apply(id, { kind: 'analysis_ended', at: '2026-01-01T00:00:00.000Z', ending: { kind: 'done' } }, 'test');
    r.again.ask(id, 'operator/bob');
  }
  r.queue.wake();
  await until(() => r.again.get('c-1')?.kind === 'running');
  r.queue.cancel('c-2', 'operator/alice');
  expect(r.again.get('c-1')).toEqual({ kind: 'running' });
  r.queue.cancel('c-1', 'operator/alice');
  await until(() => r.again.get('c-1')?.kind === 'ended');
  expect(r.again.get('c-1')).toEqual({ kind: 'ended', ending: canceled });
});

test('where nothing waits or runs, nothing is canceled, and why', async () => {
  await using r = rig();
  r.sealed('c-1');
  r.queue.wake();
  await r.done('c-1');
  const before = actionsOf(r, 'c-1');
  expect(() => r.queue.cancel('c-1', 'operator/alice')).toThrow(expect.objectContaining({ code: 'capture_ended' }));
  expect(() => r.queue.cancel('c-9', 'operator/alice')).toThrow(expect.objectContaining({ code: 'capture_unknown' }));
  r.requested('c-2');
  expect(() => r.queue.cancel('c-2', 'operator/alice')).toThrow(
    expect.objectContaining({
      code: 'capture_running',
      message: "capture c-2 is requested, so its analysis has not begun: 'kcorder cancel c-2' stops the capture",
    }),
  );
  expect(actionsOf(r, 'c-1')).toEqual(before);
});

test('what is to run comes from the request, and later from whoever asks; plugins are added, a profile replaces', async () => {
  await using r = rig();
  const bash = { plugins: [{ name: 'linux.bash.Bash', arguments: { pid: '7' } }] };
  r.sealed('c-1', undefined, { analysis: bash });
  r.sealed('c-2', undefined, { analysis: { profile: 'quick' } });
  r.sealed('c-3');
  r.sealed('c-4', undefined, { analysis: { profile: 'gone' } });
  r.queue.wake();
  expect((await r.done('c-4')).analysis).toMatchObject({
    ...{ kind: 'failed', reason: 'invalid_argument' },
    detail: 'there is no profile "gone"; there are quick, standard, deep',
  });
  const asked = async (spec?: Parameters<typeof r.again.ask>[2]) => {
    const { length } = r.endedAgain;
    r.again.ask('c-1', 'operator/alice', spec);
    r.queue.wake();
    await until(() => r.endedAgain.length > length);
  };
  await asked(bash);
  await asked({ profile: 'quick' });
  await asked();
  const table = ['processes', 'sockets'];
  expect(r.jobs.map(({ plugins, adds }) => [plugins, adds])).toEqual([
    [['processes', ...bash.plugins], false],
    [table, false],
    [undefined, undefined],
    [['processes', ...bash.plugins], true],
    [table, false],
    [undefined, undefined],
  ]);
});

let outputDir: string;
beforeEach(async () => {
  outputDir = await mkdtemp(join(tmpdir(), 'kcorder-analysis-'));
});
afterEach(() => rm(outputDir, { recursive: true, force: true }));

const analyze = (job: AnalysisJob) =>
  createAnalysis(program, limits, { workers: 1 }).analyze(job, new AbortController().signal);

test('canceled while it runs, an analysis keeps the rows of plugins that had ended', async () => {
  const canceling = new AbortController();
  const job = { ...makeJob(outputDir, ['before', 'hang', 'after']), canceled: canceling.signal };
  const running = analyze(job);
  await until(() => existsSync(join(outputDir, 'before.jsonl')));
  canceling.abort('operator/alice');
  const ended = await running;
  expect(ended).toMatchObject({ state: 'failed', reason: 'canceled' });
  expect(ended.plugins.map(({ name, state, reason }) => [name, state, reason])).toEqual([
    ['before', 'rows', ''],
    ['hang', 'failed', 'canceled'],
    ['after', 'failed', 'canceled'],
  ]);
  expect(await readReport(outputDir)).toEqual({ version: 1, ...ended });
  expect((await readdir(outputDir)).toSorted()).toEqual(['before.jsonl', 'report.json']);
  // It can be asked for again.
  expect(await analyze(makeJob(outputDir, ['after']))).toMatchObject({ state: 'done' });
});

test('canceled before it runs, it runs nothing; canceled after its end, it has ended', async () => {
  const job = { ...makeJob(outputDir, ['before']), canceled: AbortSignal.abort('operator/alice') };
  const { state, reason, plugins } = await analyze(job);
  expect([state, reason, plugins[0]?.reason]).toEqual(['failed', 'canceled', 'canceled']);
  const canceling = new AbortController();
  const ended = await analyze({ ...makeJob(outputDir, ['before']), canceled: canceling.signal });
  canceling.abort('operator/alice');
  expect(ended.state).toBe('done');
});

test('a plugin is added with its arguments in the report, which warns of them; canceled, it adds nothing', async () => {
  const bash = { name: 'linux.bash.Bash', arguments: { pid: '7' } };
  const first = await analyze(makeJob(outputDir, ['before', 'after']));
  const added = await analyze({ ...makeJob(outputDir, []), plugins: [bash], adds: true });
  expect(added.plugins.map(({ name, arguments: given }) => [name, given])).toEqual([
    ['before', undefined],
    ['after', undefined],
    ['linux.bash.Bash', { pid: '7' }],
  ]);
  expect(added.plugins[2]?.warnings[0]).toBe('run with pid=7: rows that these arguments leave out are not listed');
  expect(added.startedAt).toBe(first.startedAt);
  const job = { ...makeJob(outputDir, []), plugins: ['hang'], adds: true };
  expect(await analyze({ ...job, canceled: AbortSignal.abort('operator/alice') })).toMatchObject({
    reason: 'canceled',
  });
  expect(await readReport(outputDir)).toEqual({ version: 1, ...added });
});
