import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AnalysisReport } from '../analysis/analysis.ts';
import { onWriteFailure, transact } from '../journal/database.ts';
import { RecordedMetrics } from '../testing/recorded-metrics.ts';
import { at, events, request } from '../testing/states.ts';

let on: RecordedMetrics;
let nowMs: number;
beforeEach(() => {
  on = new RecordedMetrics();
  nowMs = on.nowMs;
});
afterEach(() => on[Symbol.dispose]());

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const iso = (ms: number): string => new Date(ms).toISOString();
const complete = { kind: 'complete' } as const;
const ofEnded = (outcome: string, reason = '') => `{trigger="manual",outcome="${outcome}",reason="${reason}"}`;

test('captures that end are counted once, and the counter goes on over a restart', async () => {
  on.journal.create({ ...request, requestedAt: at }, 'key', 10_000);
  on.journal.apply('c-1', events.expired, 'collector');
  const expired = ofEnded('failed', 'order_expired');
  expect((await on.series('kcorder_captures_ended_total'))[expired]).toBe(1);
  on.restart();
  expect((await on.series('kcorder_captures_ended_total'))[expired]).toBe(1);
  on.journal.create({ ...request, id: 'c-2' }, 'key-2', 10_000);
  on.journal.apply('c-2', { ...events.canceled }, 'alice');
  expect((await on.series('kcorder_captures_ended_total'))[ofEnded('canceled')]).toBe(1);
  expect((await on.series('kcorder_captures_ended_total'))[expired]).toBe(1);
});

test('the oldest progress is that of the running capture that has waited longest, and is gone with it', async () => {
  const progress = 'kcorder_capture_oldest_progress_timestamp_seconds';
  expect(await on.series(progress)).toEqual({});
  on.journal.create(request, 'key', 10_000);
  expect(await on.series(progress)).toEqual({});
  on.journal.apply('c-1', events.opened, 'node/n1');
  expect(await on.series(progress)).toEqual({ '': Date.parse(at) / 1000 });
  const before = Date.now();
  on.journal.advance('c-1', 100);
  expect((await on.series(progress))['']).toBeGreaterThanOrEqual(before / 1000);
  expect(await on.series('kcorder_evidence_reserved_bytes')).toEqual({ '': request.ceilingBytes - 100 });
  on.journal.apply('c-1', events.finished, 'node/n1');
  expect(Object.keys(await on.series(progress))).toHaveLength(1);
  on.journal.apply('c-1', events.sealed, 'collector');
  expect(await on.series(progress)).toEqual({});
});

test.each([
  ['done', { kind: 'done' }, '{state="done",reason=""}'],
  ['a reason of ours', { kind: 'failed', reason: 'timeout', detail: '' }, '{state="failed",reason="timeout"}'],
  [
    'a signal by its kind',
    { kind: 'failed', reason: 'signal SIGKILL', detail: '' },
    '{state="failed",reason="signal"}',
  ],
  [
    'one that was left out',
    { kind: 'skipped', reason: 'image_partial', detail: '' },
    '{state="skipped",reason="image_partial"}',
  ],
] as const)('an analysis that ends is counted: %s', async (_, ending, labels) => {
  expect((await on.series('kcorder_analyses_ended_total'))[labels]).toBe(0);
  on.metrics.analysisAgainEnded(ending);
  expect((await on.series('kcorder_analyses_ended_total'))[labels]).toBe(1);
});

test.each(['pwned_label_abcdefghij', 'symbols_missing_not', 'constructor', '', '9'])(
  'a reason that is a word of the runner alone makes no series: %j',
  async (reason) => {
    const before = Object.keys(await on.series('kcorder_analyses_ended_total'));
    on.metrics.analysisAgainEnded({ kind: 'failed', reason, detail: '' });
    const after = await on.series('kcorder_analyses_ended_total');
    expect(Object.keys(after)).toEqual(before);
    expect(after['{state="failed",reason="other"}']).toBe(1);
  },
);

test('an analysis that ran is counted by how far it was confined', async () => {
  const confined = { level: 'partial', landlockAbi: 0, seccomp: true };
  on.metrics.analysisRan({ plugins: [], isolation: { confined } } as unknown as AnalysisReport);
  // one of which no run came so far
  on.metrics.analysisRan({ plugins: [], isolation: {} } as unknown as AnalysisReport);
  const levels = { '{level="none"}': 0, '{level="partial"}': 1, '{level="full"}': 0 };
  expect(await on.series('kcorder_analysis_confinement_total')).toEqual(levels);
});

test('plugins that were added later are counted alone', async () => {
  const names = ['processes', 'linux.bash.Bash', 'linux.lsof.Lsof'];
  const warnings = ['not_replaced: the plugin ran again and failed (timeout), so this is its earlier result'];
  const plugins = names.map((name) => ({ name, state: 'rows', warnings: name === 'linux.lsof.Lsof' ? warnings : [] }));
  const added = ['linux.bash.Bash', 'linux.lsof.Lsof'];
  on.metrics.analysisRan({ plugins, added, isolation: {} } as unknown as AnalysisReport);
  const counts = await on.series('kcorder_analysis_plugins_total');
  expect(counts['{plugin="processes",state="rows"}']).toBe(0);
  expect(counts['{plugin="linux.bash.Bash",state="rows"}']).toBe(1);
  expect(counts['{plugin="linux.lsof.Lsof",state="failed"}']).toBe(1);
});

test('what waits for its analysis is counted with the age of the oldest', async () => {
  expect(await on.series('kcorder_analyses_waiting')).toEqual({ '': 0 });
  expect(await on.series('kcorder_analysis_oldest_waiting_timestamp_seconds')).toEqual({});
  on.journal.create(request, 'key', 10_000);
  on.journal.apply('c-1', events.opened, 'node/n1');
  on.journal.apply('c-1', events.finished, 'node/n1');
  on.journal.apply('c-1', events.sealed, 'collector');
  const again = iso(Date.parse(at) - dayMs);
  on.database
    .prepare(`INSERT INTO analyses_again (capture_id, requested_at, requested_by) VALUES ('c-0', ?, 'alice')`)
    .run(again);
  expect(await on.series('kcorder_analyses_waiting')).toEqual({ '': 2 });
  expect(await on.series('kcorder_analysis_oldest_waiting_timestamp_seconds')).toEqual({
    '': Date.parse(again) / 1000,
  });
});

test('evidence is told by place, with what could not be stored and what is damaged; what is deleted is not', async () => {
  for (let count = 0; count < 4; count += 1) on.record('n1', count * hourMs, complete);
  const ids = on.database
    .prepare('SELECT capture_id AS id FROM storage ORDER BY sealed_at')
    .all()
    .map(({ id }) => String(id));
  const set = (what: string, id: string | undefined): void =>
    void on.database.prepare(`UPDATE storage SET ${what} WHERE capture_id = ?`).run(id ?? '');
  set(`place = 'deleted', flaw = 'it was cut off'`, ids[0]);
  set(`place = 'spool', trouble = 'no such bucket', stored_bytes = 100`, ids[1]);
  set(`flaw = 'a byte has changed', verified_at = '${iso(nowMs)}'`, ids[2]);
  expect(await on.series('kcorder_evidence_kept_bytes')).toEqual({
    '{place="spool"}': 100,
    '{place="store"}': 80,
    '{place="deleting"}': 0,
  });
  expect(await on.series('kcorder_evidence_troubled')).toEqual({ '': 1 });
  expect(await on.series('kcorder_evidence_flawed')).toEqual({ '': 1 });
  expect(await on.series('kcorder_evidence_oldest_verified_timestamp_seconds')).toEqual({ '': nowMs / 1000 });
});

test('findings are told by severity, with the moment of the newest capture that has one', async () => {
  expect(await on.series('kcorder_findings')).toEqual({
    '{severity="info"}': 0,
    '{severity="warning"}': 0,
    '{severity="critical"}': 0,
  });
  on.record('n1', hourMs, complete);
  on.database.exec(
    `INSERT INTO findings (capture_id, severity, rule, detail) SELECT id, 'critical', 'kernel_mismatch', '' FROM captures`,
  );
  expect((await on.series('kcorder_findings'))['{severity="critical"}']).toBe(1);
  expect(await on.series('kcorder_finding_last_timestamp_seconds')).toEqual({
    '{severity="critical"}': (nowMs - hourMs + 60_000) / 1000,
  });
});

test('notifications are told by webhook, also of one that has not been told anything yet', async () => {
  on.metrics.watchNotifications(() => ['chat']);
  expect(await on.series('kcorder_notification_attempts_total')).toEqual({
    '{webhook="chat",result="sent"}': 0,
    '{webhook="chat",result="failed"}': 0,
  });
  on.metrics.notificationAttempted('chat', 'failed');
  expect((await on.series('kcorder_notification_attempts_total'))['{webhook="chat",result="failed"}']).toBe(1);
  on.database
    .prepare(
      `INSERT INTO notifications (id, webhook, at, body, next_attempt_at, state) VALUES ('n', 'chat', ?, '', ?, 'waiting')`,
    )
    .run(iso(nowMs), iso(nowMs));
  expect((await on.series('kcorder_notifications'))['{webhook="chat",state="waiting"}']).toBe(1);
  expect(await on.series('kcorder_notification_oldest_waiting_timestamp_seconds')).toEqual({
    '{webhook="chat"}': nowMs / 1000,
  });
});

test('a refused request for a certificate is counted by its code, beside the calls', async () => {
  const enrol = '/kcorder.v1.EnrolmentService/Enrol';
  on.metrics.callFaulted(enrol, 'unauthenticated');
  on.metrics.callFaulted('/kcorder.v1.OperatorService/GetCapture', 'unauthenticated');
  expect((await on.series('kcorder_enrolment_refusals_total'))['{code="unauthenticated"}']).toBe(1);
  expect((await on.series('kcorder_enrolment_refusals_total'))['{code="cluster_unavailable"}']).toBe(0);
  expect((await on.series('kcorder_call_faults_total'))[`{method="${enrol}",code="unauthenticated"}`]).toBe(1);
});

test('a change that the disk does not take is told once, and one that fails otherwise is not', async () => {
  onWriteFailure(on.database, () => on.metrics.journalWriteFailed());
  expect(() =>
    transact(on.database, () => {
      throw new Error('another reason');
    }),
  ).toThrow('another reason');
  expect(await on.series('kcorder_journal_write_failures_total')).toEqual({ '': 0 });
  const pages = Number(on.database.prepare('PRAGMA page_count').get()?.page_count);
  on.database.exec(`PRAGMA max_page_count = ${pages}`);
  const large = { ...request, reason: 'x'.repeat(1 << 20) };
  expect(() => on.journal.create(large, 'key', 10_000)).toThrow('the journal could not be written');
  expect(await on.series('kcorder_journal_write_failures_total')).toEqual({ '': 1 });
});

test('a file that cannot be used is counted by its name', async () => {
  on.metrics.reloadFailed('webhooks');
  expect(await on.series('kcorder_reload_failures_total')).toEqual({
    '{file="schedules"}': 0,
    '{file="webhooks"}': 1,
  });
});
