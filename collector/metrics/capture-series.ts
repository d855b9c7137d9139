import type { FailedReason, PartialReason } from '../capture/capture.ts';
import type { CaptureJournal, Change } from '../journal/capture-journal.ts';
import type { EndedCount, MetricQueries } from '../journal/metric-queries.ts';
import { replace, type Scrape, seconds, setOrRemove } from './scrape.ts';

const phases = ['requested', 'acquiring', 'sealing', 'sealed', 'analyzing'] as const;

const partialReasons: Record<PartialReason, true> = {
  acquirer_died: true,
  acquirer_failed: true,
  network_stall: true,
  ceiling_exceeded: true,
  bytes_missing: true,
  image_malformed: true,
};
const failedReasons: Record<FailedReason, true> = {
  preflight_refused: true,
  order_expired: true,
  agent_restarted: true,
  acquirer_failed: true,
  network_stall: true,
  integrity_conflict: true,
  storage_failed: true,
};

/** Every ending that a capture can have. */
const endings: readonly { readonly outcome: string; readonly reason: string }[] = [
  { outcome: 'complete', reason: '' },
  ...Object.keys(partialReasons).map((reason) => ({ outcome: 'partial', reason })),
  ...Object.keys(failedReasons).map((reason) => ({ outcome: 'failed', reason })),
  { outcome: 'canceled', reason: '' },
];

const triggerOf = (schedule: string): 'manual' | 'schedule' => (schedule === '' ? 'manual' : 'schedule');

/**
 * What became of captures. Those that have ended are counted once when the collector starts and from then on as they end, since they are never
 * forgotten: the counters go on where they were before a restart.
 */
export class CaptureSeries {
  readonly #ended;
  readonly #byNode = new Map<
    string,
    { labels: Record<'node' | 'trigger' | 'outcome' | 'reason', string>; count: number }
  >();
  readonly #succeededAtMs = new Map<string, number>();
  readonly #manualNodes = new Set<string>();
  readonly #bytes;
  readonly #interruptions;
  readonly #duration;

  /** `nodes` names those whose own series are wanted: nodes come and go. */
  constructor(scrape: Scrape, queries: MetricQueries, nodes: () => ReadonlySet<string>) {
    this.#ended = scrape.counter(
      'kcorder_captures_ended_total',
      'Captures whose acquisition has ended. It goes on over restarts.',
      ['trigger', 'outcome', 'reason'],
    );
    this.#bytes = scrape.counter('kcorder_evidence_bytes_total', 'Bytes of memory images made durable.');
    this.#interruptions = scrape.counter(
      'kcorder_upload_interruptions_total',
      'Uploads that were resumed after a break.',
    );
    this.#duration = scrape.histogram(
      'kcorder_capture_duration_seconds',
      'From the request to the end of the acquisition.',
      [5, 15, 30, 60, 120, 300, 600, 1800, 3600],
    );
    for (const trigger of ['manual', 'schedule'])
      for (const ending of endings) this.#ended.inc({ trigger, ...ending }, 0);
    for (const ended of queries.endedCaptures()) this.#count(ended);

    const inPhase = scrape.gauge('kcorder_captures_in_phase', 'Captures that have not ended, by phase.', ['phase']);
    const progress = scrape.gauge(
      'kcorder_capture_oldest_progress_timestamp_seconds',
      'When that running capture last became more durable which has not for the longest time; not there when none runs.',
    );
    const aside = scrape.gauge(
      'kcorder_journal_quarantined_rows',
      'Rows of the database that were set aside because they cannot be what they say.',
    );
    const byNode = scrape.counter(
      'kcorder_node_captures_ended_total',
      'Captures of a node that have ended; only what is not 0.',
      ['node', 'trigger', 'outcome', 'reason'],
    );
    scrape.read(() => {
      const open = queries.openPhases();
      for (const phase of phases) inPhase.set({ phase }, open.get(phase) ?? 0);
      setOrRemove(progress, seconds(queries.oldestProgressMs()));
      aside.set(queries.quarantinedRows());
      const wanted = nodes();
      const present = [...this.#byNode.values()].filter(({ labels }) => wanted.has(labels.node));
      replace(
        byNode,
        present.map(({ labels, count }) => [labels, count]),
      );
    });
  }

  /** Nodes of which somebody has asked for a capture by hand. */
  get manualNodes(): ReadonlySet<string> {
    return this.#manualNodes;
  }

  /** When the newest complete capture of a schedule ended, in ms since 1970. */
  succeededAtMs(schedule: string): number | undefined {
    return this.#succeededAtMs.get(schedule);
  }

  /** Counts what changes from now on. Returns the function that stops it. */
  follow(journal: CaptureJournal): () => void {
    return journal.watch((change) => this.#changed(change));
  }

  #changed({ capture, event, addedBytes }: Change): void {
    this.#bytes.inc(addedBytes);
    if (event === undefined || event.kind === 'analysis_started' || event.kind === 'analysis_ended') return;
    const { request, state } = capture();
    if (event.kind === 'opened' && event.moved !== true && state.phase === 'acquiring' && state.epoch > 1)
      this.#interruptions.inc();
    if (!('endedAt' in state)) return;
    const { outcome } = state;
    const endedAtMs = Date.parse(state.endedAt);
    const reason = 'reason' in outcome ? outcome.reason : '';
    const schedule = request.schedule?.name ?? '';
    this.#count({ node: request.node.name, schedule, outcome: outcome.kind, reason, count: 1, endedAtMs });
    this.#duration.observe((endedAtMs - Date.parse(request.requestedAt)) / 1000);
  }

  #count({ node, schedule, outcome, reason, count, endedAtMs }: EndedCount): void {
    const trigger = triggerOf(schedule);
    this.#ended.inc({ trigger, outcome, reason }, count);
    if (schedule === '') this.#manualNodes.add(node);
    if (outcome === 'complete')
      this.#succeededAtMs.set(schedule, Math.max(endedAtMs, this.#succeededAtMs.get(schedule) ?? 0));
    const labels = { node, trigger, outcome, reason };
    const key = Object.values(labels).join('\0');
    this.#byNode.set(key, { labels, count: count + (this.#byNode.get(key)?.count ?? 0) });
  }
}
