import { Fleet } from '../fleet/fleet.ts';
import { CaptureJournal } from '../journal/capture-journal.ts';
import { openDatabase } from '../journal/database.ts';
import { MetricQueries } from '../journal/metric-queries.ts';
import { NodeJournal } from '../journal/node-journal.ts';
import { Metrics } from '../metrics/metrics.ts';
import { makeScratch } from './files.ts';
import { type RecordedCapture, recordCapture } from './recorded-fleet.ts';
import { request } from './states.ts';

const dayMs = 24 * 3_600_000;

/** The metrics of a collector on a database of its own, and ways to write into that what time would. */
export class RecordedMetrics implements Disposable {
  readonly nowMs = Date.now();
  readonly #scratch = makeScratch();
  readonly database = openDatabase(this.#scratch.dir);
  readonly journal = new CaptureJournal(this.database);
  readonly #nodes = new NodeJournal(this.database);
  metrics: Metrics;
  #made = 0;

  constructor() {
    this.metrics = this.#start();
  }

  /** As after a start of the collector, schedules watched. */
  restart(): void {
    this.metrics.close();
    this.metrics = this.#start();
    this.metrics.watchSchedules(() => ({ nextAtMs: this.nowMs, intervalMs: dayMs }));
  }

  #start(): Metrics {
    const limits = { dataDir: this.#scratch.dir, reserveBytes: 0, quotaBytes: 0 };
    const [queries, fleet] = [new MetricQueries(this.database), new Fleet(this.#nodes)];
    return new Metrics({ journal: this.journal, queries, fleet, limits, version: '0.1.0' });
  }

  /** A node whose agent was last there at a moment. */
  seen(name: string, ms: number): void {
    this.#nodes.put({ ...request, name, uid: `uid-${name}`, lastSeenAt: new Date(ms).toISOString(), refusals: [] });
  }

  schedule(name: string, pausedBy = ''): void {
    const [created, now] = [this.nowMs - dayMs, this.nowMs].map((ms) => new Date(ms).toISOString());
    this.database
      .prepare(
        `INSERT INTO schedules (name, spec, configured, created_at, created_by, paused_by, planned_through) VALUES (?, '{}', 0, ?, 'alice', ?, ?)`,
      )
      .run(name, created ?? '', pausedBy, now ?? '');
  }

  /** A capture that was asked for so long ago and took a minute. */
  record(node: string, agoMs: number, outcome: RecordedCapture['outcome'], schedule = ''): void {
    this.#made += 1;
    recordCapture(this.database, { id: `c-${this.#made}`, node, schedule, tickMs: this.nowMs - agoMs, outcome });
  }

  /** Every series of a metric by its labels, with its value. */
  async series(name: string): Promise<Record<string, number>> {
    const lines = (await this.metrics.text())
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return Object.fromEntries(
      lines.map((line) => [line.slice(name.length, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
    );
  }

  [Symbol.dispose](): void {
    this.metrics.close();
    this.database.close();
    this.#scratch[Symbol.dispose]();
  }
}
