import type { AnalysisEnding } from '../capture/capture.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { CaptureJournal, JournaledCapture } from '../journal/captures.ts';
import type { Symbols, SymbolsEnd } from '../symbols/symbols.ts';
import type { Analysis, AnalysisReport } from './analysis.ts';

/** What is told to whoever listens: metrics and the log. */
export interface QueueEvents {
  analyzed(capture: JournaledCapture, report: AnalysisReport): void;
  failed(captureId: string, error: unknown): void;
}

/** Analyses sealed captures one after the other, in the order in which they were sealed. Starts where a killed collector stopped. */
export class AnalysisQueue {
  readonly #journal: CaptureJournal;
  readonly #evidence: EvidenceDirectory;
  readonly #symbols: Symbols;
  readonly #analysis: Analysis;
  readonly #events: QueueEvents;
  readonly #controller = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    journal: CaptureJournal,
    evidence: EvidenceDirectory,
    symbols: Symbols,
    analysis: Analysis,
    events: QueueEvents,
  ) {
    this.#journal = journal;
    this.#evidence = evidence;
    this.#symbols = symbols;
    this.#analysis = analysis;
    this.#events = events;
  }

  /** Looks for sealed captures; call it whenever one may be there. */
  wake(): void {
    if (this.#running !== undefined || this.#controller.signal.aborted) return;
    // Later, not now: the caller may be in the middle of a change of the journal, and draining makes further ones.
    this.#running = Promise.resolve()
      .then(() => this.#drain())
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Ends the running analysis, which begins anew after a restart. */
  async close(): Promise<void> {
    this.#controller.abort();
    await this.#running;
  }

  async #drain(): Promise<void> {
    while (!this.#controller.signal.aborted) {
      const capture = this.#journal.open().find(({ state }) => state.phase === 'sealed' || state.phase === 'analyzing');
      if (capture === undefined) return;
      const { id } = capture.request;
      try {
        const ending = await this.#analyze(capture, this.#controller.signal);
        this.#journal.apply(id, { kind: 'analysis_ended', at: now(), ending }, 'collector');
      } catch (error) {
        if (this.#controller.signal.aborted) return;
        this.#events.failed(id, error);
        const ending = {
          kind: 'failed',
          reason: 'internal',
          detail: 'the analysis broke down; the cause is in the log of the collector',
        } as const;
        this.#journal.apply(id, { kind: 'analysis_ended', at: now(), ending }, 'collector');
      }
    }
  }

  async #analyze(capture: JournaledCapture, signal: AbortSignal): Promise<AnalysisEnding> {
    const { request, state } = capture;
    if (state.phase !== 'sealed' && state.phase !== 'analyzing')
      throw new Error(`capture ${request.id} is ${state.phase}`);
    if (state.outcome.kind !== 'complete') {
      const detail = 'the image is not complete, and an analysis of it could hide what is missing';
      return { kind: 'skipped', reason: `image_${state.outcome.kind}`, detail };
    }
    this.#journal.apply(request.id, { kind: 'analysis_started', at: now() }, 'collector');
    const symbols = await this.#symbols.find(request.kernel, signal);
    if (symbols.kind !== 'ready') return withoutSymbols(symbols);
    const report = await this.#analysis.analyze(
      {
        captureId: request.id,
        image: { kind: 'lime', path: this.#evidence.imagePath(request.id, state.evidence) },
        symbols,
        kernel: request.kernel,
        containers: state.start.containers.map((container) => ({ $typeName: 'kcorder.v1.PodContainer', ...container })),
        outputDir: `${this.#evidence.pathOf(request.id)}/analysis`,
      },
      signal,
    );
    this.#events.analyzed(capture, report);
    return report.state === 'done'
      ? { kind: 'done' }
      : { kind: 'failed', reason: report.reason, detail: report.detail };
  }
}

function withoutSymbols(symbols: Exclude<SymbolsEnd, { kind: 'ready' }>): AnalysisEnding {
  switch (symbols.kind) {
    case 'missing':
      return {
        kind: 'failed',
        reason: 'symbols_missing',
        detail: `${symbols.advice} Looked in: ${symbols.looked.join('; ')}`,
      };
    case 'mismatch':
      return { kind: 'failed', reason: 'symbols_mismatch', detail: symbols.detail };
    case 'rejected':
      return { kind: 'failed', reason: 'symbols_rejected', detail: symbols.detail };
    case 'unsupported':
      return {
        kind: 'failed',
        reason: 'architecture_unsupported',
        detail: `Volatility cannot analyse ${symbols.architecture}`,
      };
  }
}

const now = (): string => new Date().toISOString();
