import { join } from 'node:path';
import type { Access } from '../access.ts';
import type { AnalysisReport } from '../analysis/analysis.ts';
import { Fleet } from '../fleet/fleet.ts';
import { CaptureJournal } from '../journal/capture-journal.ts';
import { openDatabase } from '../journal/database.ts';
import { encode } from '../journal/encode.ts';
import { MetricQueries } from '../journal/metric-queries.ts';
import { NodeJournal } from '../journal/node-journal.ts';
import { Metrics } from '../metrics/metrics.ts';
import { openSymbols } from '../symbols/open.ts';
import { makeScratch } from './files.ts';
import { recordCapture, recordFleet } from './recorded-fleet.ts';
import { request, start, states } from './states.ts';

/** What a collector answers to a scrape of which there is something of everything. `identity` is the certificate of its own. */
export async function everySeries(identity: Access['serving']['identity']['current']): Promise<string> {
  using scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  const nowMs = Date.now();
  const now = new Date(nowMs).toISOString();
  recordFleet(database, { nodes: 2, capturesPerNode: 3, schedule: 'nightly', intervalMs: 6 * 3_600_000, nowMs });
  const never = { id: 'c-never', node: 'node-2', schedule: 'nightly', tickMs: nowMs - 6 * 3_600_000 };
  recordCapture(database, { ...never, outcome: { kind: 'failed', reason: 'agent_restarted', detail: 'it restarted' } });
  const byHand = { id: 'c-hand', node: 'node-1', schedule: '', tickMs: nowMs - 60_000 };
  recordCapture(database, { ...byHand, outcome: { kind: 'complete' } });
  const insert = database.prepare(
    `INSERT INTO captures (id, node_uid, node_name, requested_by, idempotency_key, requested_at, phase, ceiling_bytes, request, state, ended_at)
     VALUES (?, ?, 'node-1', 'operator/alice', ?, ?, ?, 1000, ?, ?, ?)`,
  );
  for (const phase of ['acquiring', 'sealed'] as const) {
    insert.run(
      phase,
      phase,
      phase,
      now,
      phase,
      encode({ ...request, id: phase }),
      encode(states[phase]),
      phase === 'sealed' ? now : '',
    );
  }
  database.exec(`
    INSERT INTO findings (capture_id, severity, rule, detail) VALUES ('c-hand', 'critical', 'kernel_mismatch', 'another kernel');
    INSERT INTO notifications (id, webhook, at, body, next_attempt_at, state) VALUES ('n-1', 'chat', '${now}', '{}', '${now}', 'waiting');
  `);
  const journal = new CaptureJournal(database);
  const fleet = new Fleet(new NodeJournal(database));
  const node = { ...request, name: 'node-1', uid: 'uid-node-1', lastSeenAt: now, refusals: [] };
  fleet.attach({ node, instanceId: 'i', send: () => undefined, detach: () => undefined });
  const limits = { dataDir: scratch.dir, reserveBytes: 0, quotaBytes: 1 << 30 };
  const metrics = new Metrics({ journal, queries: new MetricQueries(database), fleet, limits, version: '0.1.0' });
  const sources = {
    symbolDirs: [],
    symbolCacheBytes: 1,
    symbolBuckets: [],
    cosUrl: '',
    debuginfodUrls: [],
    dwarf2json: '',
    python: 'python3',
  };
  const ask = async (): Promise<never> => await Promise.reject(new Error('nobody is asked'));
  metrics.watchSymbols(
    await openSymbols(join(scratch.dir, 'symbols'), sources, { ask, attached: () => [] }, () => undefined),
  );
  const serving = { identity: { current: identity } };
  const cluster = { agentsExpected: () => 2, inStepAt: () => new Date(nowMs) };
  metrics.watchAccess({ serving, cluster, authority: { notAfter: new Date(nowMs) } } as unknown as Access);
  metrics.watchSchedules(() => ({ nextAtMs: nowMs, intervalMs: 1000 }));
  metrics.watchNotifications(() => ['chat']);
  metrics.auditChecked({ head: journal.audit.head() }, true);
  metrics.callFaulted('/kcorder.v1.OperatorService/GetCapture', 'capture_unknown');
  const plugin = { name: 'processes', state: 'rows', warnings: [] };
  metrics.analysisRan({ plugins: [plugin], isolation: {} } as unknown as AnalysisReport);
  journal.apply(
    'acquiring',
    { kind: 'finished', at: now, end: states.sealing.end, durableBytes: 0 },
    start.acquisitionId,
  );
  const text = await metrics.text();
  metrics.close();
  database.close();
  return text;
}
