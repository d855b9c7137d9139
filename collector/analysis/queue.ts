import { Fault } from '@kcorder/proto/fault.ts';
import { Worker } from '../background/worker.ts';
import type { AnalysisEnding } from '../capture/capture.ts';
import type { Images } from '../custody/images.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { CaptureJournal, JournaledCapture } from '../journal/capture-journal.ts';
import type { Reanalyses } from '../journal/reanalyses.ts';
import type { Symbols, SymbolsEnd } from '../symbols/symbols.ts';
import type { Analysis, AnalysisReport, ImageSource } from './analysis.ts';

/** What is told to whoever listens: metrics and the log. */
export interface QueueEvents {
  /** Before the end of the analysis is on record, which waits for it. */
  analyzed(capture: JournaledCapture, report: AnalysisReport): void | Promise<void>;
  /** An analysis has ended that was asked for again. */
  again(captureId: string, ending: AnalysisEnding): void;
  /** The capture is empty when it is about none: the journal could not be read or written. */
  failed(captureId: string, error: unknown): void;
}

/** What the queue works with. */
export interface QueueDeps {
  readonly journal: CaptureJournal;
  readonly again: Reanalyses;
  readonly evidence: EvidenceDirectory;
  readonly images: Pick<Images, 'lease' | 'plainPath' | 'open'>;
  readonly symbols: Symbols;
  readonly analysis: Analysis;
  readonly events: QueueEvents;
}

/** An image that brings the collector down is not to do so for ever. */
const mostBeginnings = 3;

/** One analysis: of which capture, and where its beginning and its end are put down. */
interface Turn {
  readonly captureId: string;
  /** How often it was begun before, by collectors that ended in its middle. */
  begun(): number;
  begin(): void;
  end(ending: AnalysisEnding): void;
}

/**
 * Analyses sealed captures one after the other, in the order in which they were asked for, and then those that are to be analysed again. Starts
 * where a killed collector stopped.
 */
export class AnalysisQueue {
  readonly #deps: QueueDeps;
  readonly #worker: Worker;
  /** Until the next start. */
  readonly #unreadable = new Set<string>();

  constructor(deps: QueueDeps) {
    this.#deps = deps;
    this.#worker = new Worker({
      step: (signal) => this.#step(signal),
      failed: (error) => deps.events.failed('', error),
    });
  }

  /** Looks for something to analyse; call it whenever it may be there. */
  wake(): void {
    this.#worker.wake();
  }

  /** Ends the running analysis, which begins anew after a restart. */
  async close(): Promise<void> {
    await this.#worker.close();
  }

  /** One analysis; returns undefined when there is none to be made. */
  async #step(signal: AbortSignal): Promise<number | undefined> {
    const turn = this.#next();
    if (turn === undefined) return undefined;
    try {
      turn.end(await this.#analyze(turn, signal));
    } catch (error) {
      signal.throwIfAborted();
      this.#deps.events.failed(turn.captureId, error);
      const detail = 'the analysis broke down; the cause is in the log of the collector';
      turn.end({ kind: 'failed', reason: 'internal', detail });
    }
    return 0;
  }

  #next(): Turn | undefined {
    const { journal, again, events } = this.#deps;
    const sealed = this.#oldestReadable();
    if (sealed !== undefined) {
      return {
        captureId: sealed,
        begun: () => begunOf(journal.get(sealed)),
        begin: () => void journal.apply(sealed, { kind: 'analysis_started', at: now() }, 'collector'),
        end: (ending) => void journal.apply(sealed, { kind: 'analysis_ended', at: now(), ending }, 'collector'),
      };
    }
    const captureId = again.next();
    if (captureId === undefined) return undefined;
    return {
      captureId,
      begun: () => again.begun(captureId),
      begin: () => again.begin(captureId),
      end: (ending) => {
        again.end(captureId, ending);
        events.again(captureId, ending);
      },
    };
  }

  /** One whose row is damaged is told of once, and does not hold the others up. */
  #oldestReadable(): string | undefined {
    const { journal, events } = this.#deps;
    while (true) {
      const sealed = journal.oldestToAnalyse(this.#unreadable);
      if (sealed === undefined) return undefined;
      try {
        journal.get(sealed);
        return sealed;
      } catch (error) {
        this.#unreadable.add(sealed);
        events.failed(sealed, error);
      }
    }
  }

  async #analyze(turn: Turn, signal: AbortSignal): Promise<AnalysisEnding> {
    const capture = this.#deps.journal.get(turn.captureId);
    const { request, state } = capture;
    if (!('evidence' in state) || state.evidence === undefined) throw new Error(`capture ${request.id} has no image`);
    if (state.phase !== 'done' && request.analyze === false) {
      const detail = `nobody asked for an analysis: 'kcorder analyze ${request.id}' does`;
      return { kind: 'skipped', reason: 'not_asked', detail };
    }
    if (state.outcome.kind !== 'complete') {
      const detail = 'the image is not complete, and an analysis of it could hide what is missing';
      return { kind: 'skipped', reason: `image_${state.outcome.kind}`, detail };
    }
    if (turn.begun() >= mostBeginnings) {
      const detail = `the collector ended ${mostBeginnings} times while it analyzed this image, perhaps because of it: look at the reasons of its restarts, then run 'kcorder analyze ${request.id}'`;
      return { kind: 'failed', reason: 'collector_died', detail };
    }
    turn.begin();
    const symbols = await this.#deps.symbols.find(request.kernel, signal);
    if (symbols.kind !== 'ready') return withoutSymbols(symbols);
    try {
      return await this.#run(capture, symbols, signal);
    } catch (error) {
      // What is wrong with the image is known to the journal's readers by its own code.
      if (error instanceof Fault && imageFaults.has(error.code))
        return { kind: 'failed', reason: error.code, detail: error.message };
      throw error;
    }
  }

  async #run(
    capture: JournaledCapture,
    symbols: SymbolsEnd & { kind: 'ready' },
    signal: AbortSignal,
  ): Promise<AnalysisEnding> {
    const { request } = capture;
    await using image = await this.#openImage(request.id);
    const report = await this.#deps.analysis.analyze(
      {
        captureId: request.id,
        image: image.image,
        symbols,
        kernel: request.kernel,
        containers: this.#deps.journal.containersOf(request.id),
        outputDir: `${this.#deps.evidence.pathOf(request.id)}/analysis`,
      },
      signal,
    );
    await this.#deps.events.analyzed(capture, report);
    return report.state === 'done'
      ? { kind: 'done' }
      : { kind: 'failed', reason: report.reason, detail: report.detail };
  }

  /** The plain file while it is there, which is the quickest; else whatever the store has. */
  async #openImage(captureId: string): Promise<AsyncDisposable & { readonly image: ImageSource }> {
    const { images } = this.#deps;
    await using opened = new AsyncDisposableStack();
    opened.use(await images.lease(captureId));
    const path = await images.plainPath(captureId);
    const image: ImageSource =
      path === undefined
        ? { kind: 'ranges', source: opened.use(await images.open(captureId)) }
        : { kind: 'lime', path };
    const owned = opened.move();
    return { image, [Symbol.asyncDispose]: async () => await owned.disposeAsync() };
  }
}

const begunOf = ({ state }: JournaledCapture): number => (state.phase === 'analyzing' ? (state.begun ?? 1) : 0);

const imageFaults: ReadonlySet<string> = new Set([
  'evidence_missing',
  'evidence_damaged',
  'evidence_deleted',
  'store_refused',
]);

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
