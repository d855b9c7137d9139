import { statfs } from 'node:fs/promises';
import { causeChain } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import type { AnalysisReport } from './analysis/analysis.ts';
import { recordFindings } from './analysis/record-findings.ts';
import type { AnalysisEnding } from './capture/capture.ts';
import type { ClusterServices } from './cluster/open.ts';
import type { Config } from './config.ts';
import { type Custody, openCustody } from './custody/open.ts';
import type { EvidenceDirectory } from './evidence/evidence-directory.ts';
import type { CaptureSlots } from './fleet/capture-slots.ts';
import type { Captures } from './fleet/captures.ts';
import type { Fleet } from './fleet/fleet.ts';
import type { CaptureJournal, JournaledCapture } from './journal/captures.ts';
import type { Database } from './journal/database.ts';
import { FindingJournal } from './journal/findings.ts';
import { MetricQueries } from './journal/metric-queries.ts';
import { Outbox } from './journal/notifications.ts';
import type { Reanalyses } from './journal/reanalyses.ts';
import { RunJournal } from './journal/runs.ts';
import { ScheduleJournal } from './journal/schedules.ts';
import type { Metrics } from './metrics/metrics.ts';
import { storeFilling } from './notify/event.ts';
import { openNotifier } from './notify/open.ts';
import { type OpenedSchedules, openSchedules } from './schedule/open.ts';

/** What makes captures by the clock, keeps what they bring, and tells of it. */
export interface Recorder {
  readonly custody: Custody;
  readonly schedules: OpenedSchedules;
  readonly findings: FindingJournal;
  /** The plugins of an analysis have run: what they found is put on record and told. */
  analyzed(capture: JournaledCapture, report: AnalysisReport): Promise<void>;
  /** An analysis has ended that was asked for again. */
  analyzedAgain(captureId: string, ending: AnalysisEnding): void;
  close(): Promise<void>;
}

/** What the recorder works with. */
export interface RecorderDeps {
  readonly config: Config;
  readonly database: Database;
  readonly journal: CaptureJournal;
  readonly again: Reanalyses;
  readonly directory: EvidenceDirectory;
  readonly fleet: Fleet;
  readonly slots: CaptureSlots;
  readonly captures: Captures;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Unset outside of a cluster. */
  readonly cluster?: ClusterServices;
}

const lookAtRoomMs = 60_000;

/** Opens it and begins. Throws config_invalid, storage_failed. */
export async function openRecorder(deps: RecorderDeps): Promise<Recorder> {
  const { config, database, journal, directory, fleet, slots, captures, metrics, log, cluster } = deps;
  const counts = {
    attempted: (webhook: string, result: 'sent' | 'failed') => metrics.notificationAttempted(webhook, result),
    reloadFailed: () => metrics.reloadFailed('webhooks'),
  };
  const telling = await openNotifier(config, new Outbox(database), journal, counts, log);
  const { notifier } = telling;
  metrics.watchNotifications(() => notifier.names);
  let opened: OpenedSchedules | undefined;
  const findings = new FindingJournal(database);
  const custody = await openCustody({
    config,
    database,
    journal,
    again: deps.again,
    directory,
    schedules: () => opened?.schedules.retentionRules() ?? new Map(),
    log,
    events: {
      notStored: (captureId) => notifier.tell({ kind: 'evidence_not_stored', captureId }),
      damaged: (captureId) => notifier.tell({ kind: 'evidence_flawed', captureId }),
      deleted: (captureId, by) => {
        // What was found in it goes with it.
        findings.put(captureId, []);
        if (by !== 'retention') notifier.tell({ kind: 'evidence_deleted', captureId, by });
      },
    },
  });
  const scheduleDeps = { scheduleJournal: new ScheduleJournal(database), runs: new RunJournal(database) };
  const schedules = await openSchedules(
    config,
    { ...scheduleDeps, journal, fleet, slots, captures, ...(cluster && { cluster }) },
    {
      runEnded: (run) => {
        const { schedule, state, reason, ticks: count } = run;
        metrics.runEnded(run);
        if (state === 'missed') notifier.tell({ kind: 'run_missed', schedule, reason, count });
        if (state !== 'succeeded') log.warn(run, 'a run of a schedule did not succeed');
      },
      failed: (what, error) => log.warn({ causes: causeChain(error) }, what),
      clockJumped: (ms) => log.warn({ ms }, 'the clock was set'),
      fileRefused: (fault) => {
        metrics.reloadFailed('schedules');
        log.error(
          { message: fault.message },
          'the schedules file could not be used; what was read before stays in use',
        );
      },
      fileTaken: (count) => log.info({ schedules: count }, 'the schedules file is in use'),
    },
  );
  opened = schedules;
  metrics.watchSchedules((name) => schedules.schedules.timesOf(name));
  custody.start();
  const queries = new MetricQueries(database);
  const lookAtRoom = async (): Promise<void> => {
    const { bsize, blocks, bavail } = await statfs(config.dataDir);
    const reserved = queries.reservedBytes();
    const kept = queries.places().reduce((sum, { bytes }) => sum + bytes, 0);
    for (const event of [
      storeFilling((blocks - bavail) * bsize + config.reserveBytes + reserved, blocks * bsize),
      storeFilling(kept + reserved, config.quotaBytes),
    ])
      if (event !== undefined) notifier.tell(event);
  };
  const timer = setInterval(() => {
    lookAtRoom().catch((error: unknown) => log.warn({ causes: causeChain(error) }, 'the room left could not be told'));
  }, lookAtRoomMs);
  timer.unref();
  return {
    custody,
    schedules,
    findings,
    analyzed: async (capture, report) => {
      metrics.analysisRan(report);
      const { id: captureId } = capture.request;
      const { state, reason, seconds } = report;
      log.info({ capture: captureId, state, reason, seconds }, 'analysis ended');
      const found = await recordFindings(capture, report, directory, findings, (error) =>
        log.error({ capture: captureId, causes: causeChain(error) }, 'findings could not be put on record'),
      );
      if (found.length > 0) notifier.tell({ kind: 'finding', captureId, findings: found });
    },
    analyzedAgain: (captureId, ending) => {
      metrics.analysisAgainEnded(ending);
      if (ending.kind !== 'failed') return;
      const requestedAt = new Date().toISOString();
      notifier.tell({ kind: 'analysis_failed', captureId, reason: ending.reason, requestedAt });
    },
    close: async () => {
      clearInterval(timer);
      schedules.close();
      await custody.close();
      await telling.close();
    },
  };
}
