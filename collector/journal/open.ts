import { causeChain } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import { Approvals } from './approvals.ts';
import { AuditCheck, type AuditVerdict } from './audit-check.ts';
import { CaptureJournal } from './capture-journal.ts';
import { CustodyQueue } from './custody-queue.ts';
import { onWriteFailure, openDatabase } from './database.ts';
import { FindingJournal } from './finding-journal.ts';
import { JoinTokens } from './join-tokens.ts';
import { MetricQueries } from './metric-queries.ts';
import { NodeJournal } from './node-journal.ts';
import { Outbox } from './outbox.ts';
import { quarantined } from './quarantine.ts';
import type { Quotas } from './quotas.ts';
import { Reanalyses } from './reanalyses.ts';
import { RunJournal } from './run-journal.ts';
import { ScheduleJournal } from './schedule-journal.ts';
import { StorageJournal } from './storage-journal.ts';

/** Everything the collector writes down, all in one database. */
export interface Journal {
  readonly captures: CaptureJournal;
  readonly nodes: NodeJournal;
  readonly storage: StorageJournal;
  readonly custodyQueue: CustodyQueue;
  readonly reanalyses: Reanalyses;
  readonly findings: FindingJournal;
  readonly schedules: ScheduleJournal;
  readonly runs: RunJournal;
  readonly outbox: Outbox;
  readonly approvals: Approvals;
  readonly joinTokens: JoinTokens;
  readonly queries: MetricQueries;
  /** Has to be started. */
  readonly auditCheck: AuditCheck;
  close(): Promise<void>;
}

/** Counts what the log has already. */
export interface JournalCounts {
  /** The disk did not take a change. */
  journalWriteFailed(): void;
  /** The audit log was followed, the whole of it or its newest part. */
  auditChecked(verdict: AuditVerdict, whole: boolean): void;
}

/** Opens the database and all that is kept in it. `counts` are asked for at the first write. Throws database_unusable. */
export function openJournal(
  config: Quotas & { readonly dataDir: string },
  counts: () => JournalCounts,
  log: Logger,
): Journal {
  using opened = new DisposableStack();
  const database = openDatabase(config.dataDir);
  opened.defer(() => database.close());
  for (const { source, why, count } of quarantined(database))
    log.warn(
      { table: source, why, rows: count },
      'rows of the database are in quarantine: they cannot be what they say',
    );
  onWriteFailure(database, () => counts().journalWriteFailed());
  const complain = (what: string) => (error: unknown) => log.error({ causes: causeChain(error) }, what);
  const captures = new CaptureJournal(database, config, complain('a capture cannot be read'));
  const reanalyses = new Reanalyses(database);
  const auditCheck = new AuditCheck(captures.audit, {
    checked: (verdict, whole) => {
      counts().auditChecked(verdict, whole);
      logVerdict(log, verdict, whole);
    },
    failed: complain('the audit log could not be checked'),
  });
  const owned = opened.move();
  return {
    captures,
    nodes: new NodeJournal(database),
    storage: new StorageJournal(database, reanalyses),
    custodyQueue: new CustodyQueue(database),
    reanalyses,
    findings: new FindingJournal(database),
    schedules: new ScheduleJournal(database, complain('a schedule is in quarantine')),
    runs: new RunJournal(database),
    outbox: new Outbox(database),
    approvals: new Approvals(database),
    joinTokens: new JoinTokens(database),
    queries: new MetricQueries(database),
    auditCheck,
    close: async () => {
      try {
        await auditCheck.close();
      } finally {
        owned.dispose();
      }
    },
  };
}

function logVerdict(log: Logger, { head, broken }: AuditVerdict, whole: boolean): void {
  // Where it cannot be taken back: what was in a log outside of here shows later that records were cut off.
  if (broken === undefined) log.info({ records: head.seq, sha256: head.hash, whole }, 'audit log followed');
  else log.error({ record: broken.seq, detail: broken.detail }, 'the audit log is not what was written');
}
