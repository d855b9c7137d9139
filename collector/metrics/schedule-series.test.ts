import { afterEach, beforeEach, expect, test } from 'vitest';
import { RecordedMetrics } from '../testing/recorded-metrics.ts';

let on: RecordedMetrics;
let nowMs: number;
beforeEach(() => {
  on = new RecordedMetrics();
  nowMs = on.nowMs;
});
afterEach(() => on[Symbol.dispose]());

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const complete = { kind: 'complete' } as const;
const failed = { kind: 'failed', reason: 'order_expired', detail: 'nobody took it up' } as const;
const ofEnded = (outcome: string, reason = '') => `{trigger="manual",outcome="${outcome}",reason="${reason}"}`;

test('failures in a row are counted until a complete capture', async () => {
  on.seen('n1', nowMs);
  const inARow = async () => (await on.series('kcorder_capture_consecutive_failures'))['{schedule="",node="n1"}'];
  on.record('n1', 9 * hourMs, failed);
  on.record('n1', 8 * hourMs, complete);
  on.restart();
  expect(await inARow()).toBeUndefined();
  on.record('n1', 7 * hourMs, failed);
  on.record('n1', 6 * hourMs, { kind: 'canceled', by: 'alice' });
  on.record('n1', 5 * hourMs, failed);
  on.restart();
  expect(await inARow()).toBe(2);
  on.record('n1', hourMs, complete);
  on.restart();
  expect(await inARow()).toBeUndefined();
});

test('a node that was not seen for a week has no series of its own and is not expected', async () => {
  on.seen('here', nowMs - hourMs);
  on.seen('gone', nowMs - 8 * dayMs);
  on.record('here', hourMs, complete);
  on.record('gone', 9 * dayMs, complete);
  on.restart();
  expect(Object.keys(await on.series('kcorder_capture_last_success_timestamp_seconds'))).toEqual([
    '{schedule="",node="here"}',
  ]);
  expect(Object.keys(await on.series('kcorder_node_captures_ended_total'))).toHaveLength(1);
  expect(await on.series('kcorder_agents_expected')).toEqual({ '': 1 });
  expect((await on.series('kcorder_captures_ended_total'))[ofEnded('complete')]).toBe(2);
});

test('a schedule tells its ticks, its newest runs, and the nodes that the two newest ticks came to', async () => {
  on.schedule('nightly');
  on.schedule('idle', 'alice');
  on.record('n1', 3 * dayMs, complete, 'nightly');
  on.record('n2', 2 * dayMs, complete, 'nightly');
  on.record('n2', dayMs, failed, 'nightly');
  on.record('n3', dayMs, failed, 'nightly');
  on.restart();
  const last = await on.series('kcorder_capture_last_success_timestamp_seconds');
  expect(last).toEqual({
    '{schedule="nightly",node="n2"}': (nowMs - 2 * dayMs + 60_000) / 1000,
    '{schedule="nightly",node="n3"}': 0,
  });
  expect(await on.series('kcorder_capture_wanted_since_timestamp_seconds')).toEqual({
    '{schedule="nightly",node="n3"}': (nowMs - dayMs) / 1000,
  });
  expect(await on.series('kcorder_schedule_last_success_timestamp_seconds')).toEqual({
    '{schedule="idle"}': 0,
    '{schedule="nightly"}': (nowMs - 2 * dayMs + 60_000) / 1000,
  });
  expect(await on.series('kcorder_schedule_next_run_timestamp_seconds')).toEqual({
    '{schedule="nightly"}': nowMs / 1000,
  });
  expect(await on.series('kcorder_schedule_paused')).toEqual({ '{schedule="idle"}': 1, '{schedule="nightly"}': 0 });
  const runs = await on.series('kcorder_schedule_runs');
  expect(runs['{schedule="nightly",state="failed",reason=""}']).toBe(2);
  expect(runs['{schedule="idle",state="missed",reason=""}']).toBe(0);
});

test('runs that ended before anybody listened are counted, and every way to end is there at zero', async () => {
  on.schedule('nightly');
  on.metrics.runEnded({ schedule: 'nightly', state: 'missed', reason: 'collector_down', ticks: 7 });
  on.metrics.watchSchedules(() => ({ nextAtMs: undefined, intervalMs: undefined }));
  on.metrics.runEnded({ schedule: 'nightly', state: 'succeeded', reason: '', ticks: 1 });
  const runs = await on.series('kcorder_schedule_runs_ended_total');
  expect(runs['{schedule="nightly",state="missed",reason="collector_down"}']).toBe(7);
  expect(runs['{schedule="nightly",state="succeeded",reason=""}']).toBe(1);
  expect(runs['{schedule="nightly",state="skipped",reason="paused"}']).toBe(0);
  expect(await on.series('kcorder_schedule_interval_seconds')).toEqual({});
});

test('a schedule that was deleted is gone from every series', async () => {
  on.schedule('nightly');
  on.record('n1', hourMs, failed, 'nightly');
  on.restart();
  expect((await on.metrics.text()).match(/schedule="nightly",node=/g)?.length).toBeGreaterThan(0);
  on.database.exec('DELETE FROM schedules');
  const left = (await on.metrics.text()).split('\n').filter((line) => line.includes('schedule="nightly"'));
  expect(left.every((line) => line.startsWith('kcorder_schedule_runs_ended_total'))).toBe(true);
});
