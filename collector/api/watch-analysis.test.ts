import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toJson } from '@bufbuild/protobuf';
import { ListValueSchema } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';
import { type PluginResult, PluginState } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { AnalysisState } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { type WatchAnalysisResponse, WatchAnalysisResponseSchema } from '@kcorder/proto/gen/kcorder/v1/results_pb.ts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AnalysisReport } from '../analysis/analysis.ts';
import { createAnalysis } from '../analysis/analyze.ts';
import { defaultLimits } from '../analysis/limits.ts';
import { LiveAnalyses } from '../analysis/live.ts';
import { makeJob, program } from '../analysis/testing/faulty-job.ts';
import type { CaptureState } from '../capture/capture.ts';
import { until } from '../testing/files.ts';
import { request, states } from '../testing/states.ts';
import { Places } from './places.ts';
import { watchAnalysis } from './watch-analysis.ts';

let outputDir: string;
beforeEach(async () => {
  outputDir = await mkdtemp(join(tmpdir(), 'kcorder-watch-'));
});
afterEach(() => rm(outputDir, { recursive: true, force: true }));

/** A capture whose analyses are run by hand, with a runner that misbehaves as its plugins are called, and those who watch it. */
function rig() {
  const live = new LiveAnalyses();
  const analysis = createAnalysis(program, defaultLimits, { workers: 2 });
  const records: unknown[] = [];
  const watchers = new Set<(change: { readonly captureId: string }) => void>();
  let state: CaptureState = states.sealed;
  const enter = (next: CaptureState): void => {
    state = next;
    for (const changed of watchers) changed({ captureId: 'c-1' });
  };
  const deps = {
    live,
    places: new Places({ refused: 'no', doing: 'watching', most: 8 }),
    checkPlugin: (name: string) => {
      if (name === 'misspelled') throw new Fault('invalid_argument', 'there is no plugin misspelled');
    },
    again: { get: () => undefined, watch: () => () => undefined },
    journal: {
      get: () => ({ request, state, durableBytes: 0 }),
      recordReading: (...record: unknown[]) => void records.push(record),
      watch: (changed: (change: never) => void) => {
        watchers.add(changed as never);
        return () => watchers.delete(changed as never);
      },
    },
  };
  return {
    records,
    watchers,
    enter,
    run: async (plugins: string[], signal = new AbortController().signal): Promise<AnalysisReport> => {
      enter(states.analyzing);
      const job = makeJob(outputDir, plugins);
      return await live.run(job, (watched) => analysis.analyze(watched, signal)).finally(() => enter(states.done));
    },
    watch: (plugin = '', { unmask = false, actor = 'alice', signal = new AbortController().signal } = {}) =>
      messages(watchAnalysis(deps, { captureId: 'c-1', plugin, unmask, actor, payer: actor, signal })),
  };
}

async function* messages(stream: AsyncIterable<unknown>): AsyncGenerator<WatchAnalysisResponse, void, undefined> {
  for await (const message of stream) yield create(WatchAnalysisResponseSchema, message as WatchAnalysisResponse);
}

/** What somebody has seen so far of a stream. */
function seen(stream: AsyncIterable<WatchAnalysisResponse>) {
  const plugins = new Map<string, PluginResult>();
  const told = {
    states: [] as (AnalysisState | undefined)[],
    plugins,
    /** What was told last of the plugin whose rows are watched: some of them, or its end. */
    last: '',
    rows: [] as unknown[],
    columns: [] as string[],
    messages: 0,
    end: undefined as unknown as Promise<unknown>,
  };
  const read = async (): Promise<string> => {
    for await (const { analysis, plugins: changed, rows } of stream) {
      told.messages += 1;
      if (analysis !== undefined) told.states.push(analysis.state);
      for (const plugin of changed) {
        if (plugin.name === 'waits' && plugin.state === PluginState.ROWS) told.last = 'end';
        plugins.set(plugin.name, plugin);
      }
      if (rows !== undefined) told.last = 'rows';
      told.columns = rows?.columns ?? told.columns;
      for (const row of rows?.rows ?? []) told.rows.push(toJson(ListValueSchema, row));
    }
    return 'ended';
  };
  told.end = read().catch((error: unknown) => error);
  return told;
}

const pidIn = (rows: readonly unknown[]): number => Number((rows[0] as unknown[])[0]);

test('an analysis that has not begun is waited for; then come all plugins, their changes, and the end', async () => {
  const { run, watch, enter } = rig();
  const told = seen(watch());
  await until(() => told.messages > 0);
  expect(told.states).toEqual([AnalysisState.PENDING]);
  // A state that lasts a moment may be left out.
  enter(states.analyzing);
  await until(() => told.states.length > 1);
  await run(['before', 'segv', 'nothing']);
  expect(await told.end).toBe('ended');
  expect(told.states).toEqual([AnalysisState.PENDING, AnalysisState.RUNNING, AnalysisState.DONE]);
  const ends = [...told.plugins.values()].map(({ name, state, reason, rowCount }) => [name, state, reason, rowCount]);
  expect(ends).toEqual([
    ['before', PluginState.ROWS, '', 2n],
    ['segv', PluginState.FAILED, 'signal SIGSEGV', 0n],
    ['nothing', PluginState.EMPTY, '', 0n],
  ]);
});

test('rows are there while their plugin runs, each once, and its end comes after the last', async () => {
  const { run, watch, records } = rig();
  const told = seen(watch('waits'));
  const report = run(['waits', 'after']);
  await until(() => told.rows.length === 2);
  expect(told.plugins.get('waits')).toMatchObject({ state: PluginState.RUNNING, rowCount: 2n });
  expect(records).toEqual([['c-1', 'alice', 'rows_read', { plugin: 'waits', live: true }]]);
  process.kill(pidIn(told.rows), 'SIGUSR1');
  await report;
  expect(await told.end).toBe('ended');
  expect(told.columns).toEqual(['value', 'placement', 'namespace', 'pod', 'pod_uid', 'container', 'container_pid']);
  const nowhere = [null, null, null, null, null, null];
  expect(told.rows.slice(1)).toEqual([
    ['\x1b[2J\ufffd', ...nowhere],
    ['last', ...nowhere],
  ]);
  expect(told.last).toBe('end');
});

test('a plugin that dies in its middle says so, and its rows count for nothing', async () => {
  const { run, watch } = rig();
  const told = seen(watch('waits'));
  const report = run(['waits', 'after']);
  await until(() => told.rows.length === 2);
  process.kill(pidIn(told.rows), 'SIGKILL');
  await report;
  expect(await told.end).toBe('ended');
  expect(told.plugins.get('waits')).toMatchObject({
    state: PluginState.FAILED,
    reason: 'signal SIGKILL',
    rowCount: 0n,
  });
});

test('an analysis that is given up ends its plugins, and then the stream', async () => {
  const { run, watch } = rig();
  const told = seen(watch('waits'));
  const abort = new AbortController();
  const report = run(['waits', 'after'], abort.signal);
  await until(() => told.rows.length === 2);
  abort.abort();
  await expect(report).rejects.toThrow();
  expect(await told.end).toBe('ended');
  expect(told.plugins.get('waits')).toMatchObject({ state: PluginState.FAILED, rowCount: 0n });
});

test('a hundred thousand rows are told in few messages, and all of them to whoever is slow', async () => {
  const { run, watch } = rig();
  const states = seen(watch());
  const slow = watch('many', { actor: 'bob' })[Symbol.asyncIterator]();
  await slow.next();
  const startMs = performance.now();
  await run(['many', 'after']);
  expect(await states.end).toBe('ended');
  // Four times a second, whatever comes: the plugins, and the analysis; and once more at the beginning and at the end.
  const times = Math.ceil((performance.now() - startMs) / 250) + 2;
  expect(states.messages).toBeLessThanOrEqual(2 * times);
  let next = 0;
  for (let each = await slow.next(); !each.done; each = await slow.next()) {
    const rows = each.value.rows?.rows ?? [];
    expect(rows.length).toBeLessThanOrEqual(500);
    for (const { values } of rows) {
      if (values[0]?.kind.value !== next) expect(values[0]?.kind.value).toBe(next);
      next += 1;
    }
  }
  expect(next).toBe(100_000);
});

test('a plugin that is not run is refused when it is known which are', async () => {
  const { run, watch } = rig();
  const told = seen(watch('nosuch'));
  await run(['after']);
  expect(await told.end).toMatchObject({
    code: 'invalid_argument',
    message: expect.stringMatching(/does not run plugin nosuch; it runs after/),
  });
});

test('a plugin that there is not is refused before the analysis has begun, and leaves no record', async () => {
  const { watch, records } = rig();
  expect(await seen(watch('misspelled')).end).toMatchObject({ code: 'invalid_argument' });
  expect(records).toEqual([]);
});

test('who watches rows has one place, and leaves nothing behind', async () => {
  const { watch, watchers } = rig();
  const abort = new AbortController();
  const told = seen(watch('waits', { signal: abort.signal }));
  await until(() => told.messages > 0);
  expect(await seen(watch('waits')).end).toMatchObject({ code: 'resource_exhausted' });
  abort.abort(new Error('away'));
  expect(await told.end).toMatchObject({ message: 'away' });
  expect(watchers.size).toBe(0);
  const again = watch('waits')[Symbol.asyncIterator]();
  expect((await again.next()).value).toMatchObject({ analysis: { state: AnalysisState.PENDING } });
  await again.return();
});

test('of an analysis that has ended there is the end alone', async () => {
  const { watch, enter } = rig();
  enter(states.done);
  const told = seen(watch());
  expect(await told.end).toBe('ended');
  expect(told.states).toEqual([AnalysisState.DONE]);
});

test('an analysis that is followed by another at once is told to its end, and no more', async () => {
  const { run, watch, enter } = rig();
  const told = seen(watch('waits'));
  const first = run(['waits']);
  await until(() => told.rows.length === 2);
  process.kill(pidIn(told.rows), 'SIGUSR1');
  await first;
  // Before anybody has looked, it is to be analyzed again.
  enter(states.analyzing);
  const second = run(['nothing']);
  expect(await told.end).toBe('ended');
  expect(told.rows).toHaveLength(3);
  expect([...told.plugins.keys()]).toEqual(['waits']);
  await second;
});
