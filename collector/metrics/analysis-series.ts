import { failedAgain } from '../analysis/addition.ts';
import { type AnalysisReport, confinementLevels, pluginStates } from '../analysis/analysis.ts';
import { pluginRow, pluginTable } from '../analysis/plugins.ts';
import type { AnalysisEnding } from '../capture/capture.ts';
import type { CaptureJournal } from '../journal/capture-journal.ts';
import type { MetricQueries } from '../journal/metric-queries.ts';
import { replace, type Scrape, seconds, setOrRemove } from './scrape.ts';

const severities = ['info', 'warning', 'critical'];

/** All reasons that have a series; a runner says whatever its image makes it say. `signal NAME` counts as its first word. */
const failedReasons = [
  'symbols_missing',
  'symbols_mismatch',
  'symbols_rejected',
  'architecture_unsupported',
  'image_rejected',
  'image_unreadable',
  'unconfined',
  'kernel_unknown',
  'runner_unavailable',
  'runner_failed',
  'timeout',
  'out_of_memory',
  'output_limit',
  'protocol',
  'signal',
  'plugins_failed',
  'evidence_missing',
  'evidence_damaged',
  'evidence_deleted',
  'storage_failed',
  'store_refused',
  'collector_died',
  'canceled',
  'symbols_changed',
  'versions_changed',
  'invalid_argument',
  'internal',
  'other',
];
const skippedReasons = ['image_partial', 'image_failed', 'image_canceled', 'not_asked'];
const knownReasons: ReadonlySet<string> = new Set([...failedReasons, ...skippedReasons]);

/** Analyses, what waits for one, and what they found. */
export class AnalysisSeries {
  readonly #ended;
  readonly #plugins;
  readonly #confined;

  constructor(scrape: Scrape, queries: MetricQueries) {
    this.#ended = scrape.counter('kcorder_analyses_ended_total', 'Analyses by ending; the reason is empty when done.', [
      'state',
      'reason',
    ]);
    this.#plugins = scrape.counter(
      'kcorder_analysis_plugins_total',
      'Plugin runs by ending: rows, empty, failed, unsupported; the plugin is other if it is not one of ours.',
      ['plugin', 'state'],
    );
    this.#confined = scrape.counter(
      'kcorder_analysis_confinement_total',
      'Analyses that ran, by how far the kernel confined them: full, partial, none.',
      ['level'],
    );
    for (const level of confinementLevels) this.#confined.inc({ level }, 0);
    this.#ended.inc({ state: 'done', reason: '' }, 0);
    for (const reason of failedReasons) this.#ended.inc({ state: 'failed', reason }, 0);
    for (const reason of skippedReasons) this.#ended.inc({ state: 'skipped', reason }, 0);
    for (const { name } of pluginTable) for (const state of pluginStates) this.#plugins.inc({ plugin: name, state }, 0);

    const waiting = scrape.gauge(
      'kcorder_analyses_waiting',
      'Captures that wait for their analysis or are being analysed.',
    );
    const oldest = scrape.gauge(
      'kcorder_analysis_oldest_waiting_timestamp_seconds',
      'Since when the oldest of them waits; not there when there is none.',
    );
    const findings = scrape.gauge('kcorder_findings', 'Findings on record.', ['severity']);
    const lastFinding = scrape.gauge(
      'kcorder_finding_last_timestamp_seconds',
      'When the newest capture ended that has such a finding; not there when none has.',
      ['severity'],
    );
    scrape.read(() => {
      const { count, atMs } = queries.analysisBacklog();
      waiting.set(count);
      setOrRemove(oldest, seconds(atMs));
      const found = queries.findings();
      const known = severities.map((severity) => ({ severity, ...found.get(severity) }));
      replace(
        findings,
        known.map(({ severity, count: number = 0 }) => [{ severity }, number]),
      );
      replace(
        lastFinding,
        known.map(({ severity, atMs: newestMs }) => [{ severity }, seconds(newestMs)]),
      );
    });
  }

  /** Counts the analyses that end from now on. Returns the function that stops it. */
  follow(journal: CaptureJournal): () => void {
    return journal.watch(({ event }) => {
      if (event?.kind === 'analysis_ended') this.ended(event.ending);
    });
  }

  /** An analysis has ended that the journal of captures does not tell of. */
  ended(ending: AnalysisEnding): void {
    const [word = ''] = ending.kind === 'done' ? [] : ending.reason.split(' ', 1);
    const reason = ending.kind === 'done' || knownReasons.has(word) ? word : 'other';
    this.#ended.inc({ state: ending.kind, reason });
  }

  /** The plugins of an analysis have run. */
  ran(report: AnalysisReport): void {
    const { added } = report;
    for (const plugin of report.plugins.filter(({ name }) => added?.includes(name) ?? true)) {
      const state = failedAgain(plugin) ? 'failed' : plugin.state;
      this.#plugins.inc({ plugin: pluginRow(plugin.name)?.name ?? 'other', state });
    }
    const { confined } = report.isolation;
    if (confined !== undefined) this.#confined.inc({ level: confined.level });
  }
}
