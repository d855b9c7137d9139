import type { Access } from '../access.ts';
import type { AnalysisReport } from '../analysis/analysis.ts';
import type { AnalysisEnding } from '../capture/capture.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { AuditVerdict } from '../journal/audit-check.ts';
import type { CaptureJournal } from '../journal/capture-journal.ts';
import type { MetricQueries } from '../journal/metric-queries.ts';
import type { SymbolSearch } from '../symbols/find.ts';
import type { SymbolsEnd } from '../symbols/symbols.ts';
import { AccessSeries } from './access-series.ts';
import { AnalysisSeries } from './analysis-series.ts';
import { AuditSeries } from './audit-series.ts';
import { CaptureSeries } from './capture-series.ts';
import { type EvidenceLimits, watchEvidence } from './evidence-series.ts';
import { serveMetrics } from './listener.ts';
import { NodeSeries } from './node-series.ts';
import { NotificationSeries, type ReloadedFile } from './notification-series.ts';
import { type EndedRun, type ScheduleTimes, watchSchedules } from './schedule-series.ts';
import { Scrape } from './scrape.ts';
import { SymbolSeries } from './symbol-series.ts';

/** What the metrics are taken of. */
export interface MetricsDeps {
  readonly journal: CaptureJournal;
  readonly queries: MetricQueries;
  readonly fleet: Fleet;
  readonly limits: EvidenceLimits;
  readonly version: string;
}

/** The collector's metrics: what the rest of the collector tells them, and where they are to be had. docs/metrics.md lists the series. */
export class Metrics {
  readonly #scrape = new Scrape();
  readonly #deps: MetricsDeps;
  readonly #unexpected: ReturnType<Scrape['counter']>;
  readonly #nodes: NodeSeries;
  readonly #captures: CaptureSeries;
  readonly #analyses: AnalysisSeries;
  readonly #symbols: SymbolSeries;
  readonly #access: AccessSeries;
  readonly #audit: AuditSeries;
  readonly #notifications: NotificationSeries;
  readonly #stops: (() => void)[];
  #endServing: (() => void) | undefined;
  #countRun: ((run: EndedRun) => void) | undefined;
  readonly #earlyRuns: EndedRun[] = [];
  #ready = false;

  /** Counts the captures that change from now on. */
  constructor(deps: MetricsDeps) {
    const { journal, queries, fleet, limits, version } = deps;
    const scrape = this.#scrape;
    this.#deps = deps;
    scrape.gauge('kcorder_build_info', 'Always 1; the version is in the label.', ['version']).set({ version }, 1);
    this.#unexpected = scrape.counter(
      'kcorder_unexpected_errors_total',
      'Errors that nothing in the collector waited for; each is a bug.',
    );
    this.#nodes = new NodeSeries(scrape, fleet);
    this.#captures = new CaptureSeries(scrape, queries, () => this.#nodes.current);
    this.#analyses = new AnalysisSeries(scrape, queries);
    this.#symbols = new SymbolSeries(scrape);
    this.#access = new AccessSeries(scrape);
    this.#audit = new AuditSeries(scrape, journal.audit);
    this.#notifications = new NotificationSeries(scrape, queries);
    watchEvidence(scrape, queries, limits);
    this.#stops = [this.#captures.follow(journal), this.#analyses.follow(journal)];
  }

  /** Adds the series of symbols: kernels of known nodes by state, and the cache. */
  watchSymbols(search: SymbolSearch): void {
    this.#symbols.watch(search, this.#nodes);
  }

  /** Adds the series of who gets in: when certificates end, how many agents there should be, how old the list of nodes and pods is. */
  watchAccess(access: Access): void {
    this.#access.watch(access, this.#nodes);
  }

  /** Adds the series of schedules; `timesOf` tells when a schedule comes again, by its name. */
  watchSchedules(timesOf: (schedule: string) => ScheduleTimes): void {
    const { queries } = this.#deps;
    this.#countRun = watchSchedules(this.#scrape, queries, this.#captures, () => this.#nodes.current, timesOf);
    for (const run of this.#earlyRuns.splice(0)) this.#countRun(run);
  }

  /** A run of a schedule has ended; may be told before the schedules are watched. */
  runEnded(run: EndedRun): void {
    if (this.#countRun === undefined) this.#earlyRuns.push(run);
    else this.#countRun(run);
  }

  /** Adds the series of notifications; `webhooks` names those that are configured. */
  watchNotifications(webhooks: () => readonly string[]): void {
    this.#notifications.watch(webhooks);
  }

  enrolmentEnded(result: 'enrolled' | 'refused'): void {
    this.#access.enrolmentEnded(result);
  }

  /** A connection was not taken or was ended, but for its certificate. */
  connectionRefused(reason: string): void {
    this.#access.connectionRefused(reason);
  }

  certificateRefused(): void {
    this.#access.certificateRefused();
  }

  callFaulted(method: string, code: string): void {
    this.#access.callFaulted(method, code);
  }

  /** A search for symbols has ended. */
  symbolsSearched(end: SymbolsEnd['kind'], seconds: number): void {
    this.#symbols.searched(end, seconds);
  }

  /** The plugins of an analysis have run. */
  analysisRan(report: AnalysisReport): void {
    this.#analyses.ran(report);
  }

  /** An analysis has ended that was none of the capture's own. */
  analysisAgainEnded(ending: AnalysisEnding): void {
    this.#analyses.ended(ending);
  }

  /** An attempt to tell a webhook something has ended. */
  notificationAttempted(webhook: string, result: 'sent' | 'failed'): void {
    this.#notifications.attempted(webhook, result);
  }

  /** Counts for the notifier. */
  readonly ofWebhooks = {
    attempted: (webhook: string, result: 'sent' | 'failed'): void => this.notificationAttempted(webhook, result),
    reloadFailed: (): void => this.reloadFailed('webhooks'),
  };

  /** A file that is read again when it changes could not be used. */
  reloadFailed(file: ReloadedFile): void {
    this.#notifications.reloadFailed(file);
  }

  /** The chain of the audit log was followed, wholly or in its newest part. */
  auditChecked(verdict: AuditVerdict, whole: boolean): void {
    this.#audit.checked(verdict, whole);
  }

  /** The disk has not taken a change of the journal. */
  journalWriteFailed(): void {
    this.#notifications.writeFailed();
  }

  /** Nothing waited for an error. */
  errorUnexpected(): void {
    this.#unexpected.inc();
  }

  /** From now on /readyz says so: the collector listens. */
  becomeReady(): void {
    this.#ready = true;
  }

  /** The answer to a scrape. */
  async text(): Promise<string> {
    return await this.#scrape.text();
  }

  /** Serves them on host:port. Throws config_invalid. */
  async listen(address: string): Promise<void> {
    this.#endServing = await serveMetrics(address, this.#scrape, () => this.#ready);
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#endServing?.();
  }
}
