import { afterAll, beforeAll, expect, test } from 'vitest';
import { Fleet } from '../fleet/fleet.ts';
import { CaptureJournal } from '../journal/capture-journal.ts';
import { openDatabase } from '../journal/database.ts';
import { MetricQueries } from '../journal/metric-queries.ts';
import { NodeJournal } from '../journal/node-journal.ts';
import { makeScratch } from '../testing/files.ts';
import { recordCapture, recordFleet } from '../testing/recorded-fleet.ts';
import { request } from '../testing/states.ts';
import { Metrics } from './metrics.ts';

const hourMs = 3_600_000;
const nowMs = Date.now();
const fleetShape = { nodes: 1000, capturesPerNode: 20, schedule: 'six-hourly', intervalMs: 6 * hourMs, nowMs };

const scratch = makeScratch();
let database: ReturnType<typeof openDatabase>;
beforeAll(() => {
  database = openDatabase(scratch.dir);
  recordFleet(database, fleetShape);
}, 60_000);
afterAll(() => {
  database.close();
  scratch[Symbol.dispose]();
});

/** A collector's metrics on what is recorded, as after a start. */
function started(): { metrics: Metrics; journal: CaptureJournal } {
  const journal = new CaptureJournal(database);
  const fleet = new Fleet(new NodeJournal(database));
  for (let index = 0; index < fleetShape.nodes; index += 1) {
    const node = {
      ...request,
      name: `node-${index}`,
      uid: `uid-node-${index}`,
      lastSeenAt: new Date().toISOString(),
      refusals: [],
    };
    fleet.attach({ node, instanceId: 'i', send: () => undefined, detach: () => undefined });
  }
  const limits = { dataDir: scratch.dir, reserveBytes: 0, quotaBytes: 0 };
  const metrics = new Metrics({ journal, queries: new MetricQueries(database), fleet, limits, version: '0.1.0' });
  metrics.watchSchedules(() => ({ nextAtMs: nowMs + hourMs, intervalMs: fleetShape.intervalMs }));
  metrics.watchNotifications(() => ['chat']);
  return { metrics, journal };
}

const samples = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
const sampleOf = (text: string, series: string): number | undefined => {
  const line = samples(text).find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length));
};

test('1,000 nodes with 20,000 captures on one schedule are at most 5,000 series', async () => {
  const { metrics } = started();
  const startedMs = performance.now();
  const text = await metrics.text();
  const firstMs = performance.now() - startedMs;
  const againMs = performance.now();
  await metrics.text();
  const elapsedMs = performance.now() - againMs;
  const count = samples(text).length;
  process.stdout.write(`${count} series, first scrape ${firstMs.toFixed(0)} ms, second ${elapsedMs.toFixed(0)} ms\n`);
  expect(count).toBeLessThanOrEqual(5_000);
  expect(samples(text).filter((line) => line.startsWith('kcorder_capture_last_success_'))).toHaveLength(1000);
  metrics.close();
});

test('a restart neither loses nor invents: what is recorded gives the same series again', async () => {
  const state = (text: string): string[] =>
    samples(text).filter((line) =>
      /^kcorder_(captures|capture_last|capture_cons|node_captures|schedule|agents)/.test(line),
    );
  const [first, second] = [started(), started()];
  expect(state(await first.metrics.text())).toEqual(state(await second.metrics.text()));
  for (const { metrics } of [first, second]) metrics.close();
});

test('a node whose captures fail says so, and one that was never captured is not there', async () => {
  const { metrics } = started();
  const text = await metrics.text();
  const labels = 'schedule="six-hourly",node="node-50"';
  expect(sampleOf(text, `kcorder_capture_consecutive_failures{${labels}}`)).toBe(1);
  expect(sampleOf(text, 'kcorder_capture_consecutive_failures{schedule="six-hourly",node="node-51"}')).toBeUndefined();
  const ended = `kcorder_capture_last_ended_timestamp_seconds{${labels},outcome="failed",reason="order_expired"}`;
  const success = `kcorder_capture_last_success_timestamp_seconds{${labels}}`;
  expect((sampleOf(text, ended) ?? 0) - (sampleOf(text, success) ?? 0)).toBeCloseTo(6 * 3600);
  expect(sampleOf(text, 'kcorder_captures_ended_total{trigger="schedule",outcome="complete",reason=""}')).toBe(19_980);
  expect(sampleOf(text, 'kcorder_schedule_runs{schedule="six-hourly",state="failed",reason=""}')).toBe(20);
  expect(sampleOf(text, 'kcorder_schedule_runs{schedule="six-hourly",state="missed",reason=""}')).toBe(0);
  expect(sampleOf(text, 'kcorder_evidence_kept_bytes{place="store"}')).toBe(19_980 * 40);
  metrics.close();
});

test('a capture by hand has series of its own beside those of the schedule', async () => {
  recordCapture(database, {
    ...{ id: 'c-hand', node: 'node-3', schedule: '', tickMs: nowMs - hourMs },
    outcome: { kind: 'partial', reason: 'network_stall', detail: 'no byte became durable' },
  });
  const { metrics } = started();
  const text = await metrics.text();
  const byHand = 'kcorder_capture_consecutive_failures{schedule="",node="node-3"}';
  expect(sampleOf(text, byHand)).toBe(1);
  expect(
    sampleOf(text, 'kcorder_captures_ended_total{trigger="manual",outcome="partial",reason="network_stall"}'),
  ).toBe(1);
  metrics.close();
});
