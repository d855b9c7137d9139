import { Fault } from '@kcorder/proto/fault.ts';
import { Worker } from '../background/worker.ts';
import type { AnalysisEnding, AnalysisSpec } from '../capture/capture.ts';
import type { Images } from '../custody/images.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { CaptureJournal, JournaledCapture } from '../journal/capture-journal.ts';
import type { Reanalyses } from '../journal/reanalyses.ts';
import type { Symbols } from '../symbols/symbols.ts';
import { readAddable } from './addition.ts';
import type { Analysis, AnalysisJob, AnalysisReport, ImageSource } from './analysis.ts';
import { canceledBy, withoutSymbols } from './endings.ts';
import { canceledReason } from './run.ts';
import { pluginsOf } from './spec.ts';

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
  /** Unset: the default profile. */
  spec(): AnalysisSpec | undefined;
  /** Plugins by name are added to the results that there are. */
  readonly adds: boolean;
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
  #running: { readonly captureId: string; readonly canceling: AbortController } | undefined;

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

  /** Stops the analysis of a capture that waits or runs. Throws Fault capture_unknown, capture_running before it is sealed, capture_ended, storage_failed. */
  cancel(captureId: string, by: string): void {
    const turn = this.#underWay(captureId);
    this.#deps.again.noteCancel(captureId, by);
    if (this.#running?.captureId === captureId) this.#running.canceling.abort(by);
    else turn.end(canceledBy(by));
  }

  #underWay(captureId: string): Turn {
    const { again, journal } = this.#deps;
    const { phase } = journal.get(captureId).state;
    if (phase === 'sealed' || phase === 'analyzing') return this.#first(captureId);
    if (phase !== 'done')
      throw new Fault(
        'capture_running',
        `capture ${captureId} is ${phase}, so its analysis has not begun: 'kcorder cancel ${captureId}' stops the capture`,
      );
    const wish = again.get(captureId);
    if (wish !== undefined && wish.kind !== 'ended') return this.#again(captureId);
    throw new Fault('capture_ended', `no analysis of capture ${captureId} waits or runs: there is nothing to cancel`);
  }

  /** Ends the running analysis, which begins anew after a restart. */
  async close(): Promise<void> {
    await this.#worker.close();
  }

  /** One analysis; returns undefined when there is none to be made. */
  async #step(signal: AbortSignal): Promise<number | undefined> {
    const turn = this.#next();
    if (turn === undefined) return undefined;
    const canceling = new AbortController();
    this.#running = { captureId: turn.captureId, canceling };
    try {
      turn.end(await this.#withKept(turn, await this.#analyze(turn, signal, canceling.signal)));
    } catch (error) {
      signal.throwIfAborted();
      const ending = canceling.signal.aborted ? canceledBy(canceling.signal.reason) : this.#brokenDown(turn, error);
      turn.end(await this.#withKept(turn, ending));
    } finally {
      this.#running = undefined;
    }
    return 0;
  }

  /** Of an addition that failed: whether the results that it was for are there. */
  async #withKept(turn: Turn, ending: AnalysisEnding): Promise<AnalysisEnding> {
    const spec = turn.adds ? turn.spec() : undefined;
    if (ending.kind !== 'failed' || spec === undefined || !('plugins' in spec)) return ending;
    const earlier = await readAddable(this.#outputDir(turn.captureId)).catch(() => undefined);
    return earlier === undefined ? ending : { ...ending, kept: true };
  }

  #outputDir(captureId: string): string {
    return `${this.#deps.evidence.pathOf(captureId)}/analysis`;
  }

  #brokenDown({ captureId }: Turn, error: unknown): AnalysisEnding {
    this.#deps.events.failed(captureId, error);
    const detail = 'the analysis broke down; the cause is in the log of the collector';
    return { kind: 'failed', reason: 'internal', detail };
  }

  #next(): Turn | undefined {
    const sealed = this.#oldestReadable();
    if (sealed !== undefined) return this.#first(sealed);
    const captureId = this.#deps.again.next();
    return captureId === undefined ? undefined : this.#again(captureId);
  }

  /** The analysis that follows a capture. */
  #first(captureId: string): Turn {
    const { journal } = this.#deps;
    return {
      captureId,
      spec: () => journal.get(captureId).request.analysis,
      adds: false,
      begun: () => begunOf(journal.get(captureId)),
      begin: () => void journal.apply(captureId, { kind: 'analysis_started', at: now() }, 'collector'),
      end: (ending) => void journal.apply(captureId, { kind: 'analysis_ended', at: now(), ending }, 'collector'),
    };
  }

  /** One that was asked for later. */
  #again(captureId: string): Turn {
    const { again, events } = this.#deps;
    return {
      captureId,
      spec: () => again.specOf(captureId),
      adds: true,
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

  async #analyze(turn: Turn, signal: AbortSignal, canceled: AbortSignal): Promise<AnalysisEnding> {
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
    const symbols = await this.#deps.symbols.find(request.kernel, AbortSignal.any([signal, canceled]));
    if (symbols.kind !== 'ready') return withoutSymbols(symbols);
    try {
      return await this.#run(capture, { symbols, canceled, ...choiceOf(turn) }, signal);
    } catch (error) {
      // What is wrong with the image, or with what is to run, is known to the journal's readers by its own code.
      if (error instanceof Fault && toldFaults.has(error.code))
        return { kind: 'failed', reason: error.code, detail: error.message };
      throw error;
    }
  }

  async #run(
    capture: JournaledCapture,
    choices: Pick<AnalysisJob, 'symbols' | 'plugins' | 'adds'> & { readonly canceled: AbortSignal },
    signal: AbortSignal,
  ): Promise<AnalysisEnding> {
    const { request } = capture;
    await using image = await this.#openImage(request.id);
    const report = await this.#deps.analysis.analyze(
      {
        captureId: request.id,
        image: image.image,
        ...choices,
        kernel: request.kernel,
        containers: this.#deps.journal.containersOf(request.id),
        outputDir: this.#outputDir(request.id),
      },
      signal,
    );
    await this.#deps.events.analyzed(capture, report);
    if (report.reason === canceledReason) return canceledBy(choices.canceled.reason);
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

/** What is to run. Throws Fault invalid_argument for a profile that this collector does not know. */
function choiceOf({ spec, adds }: Turn): Pick<AnalysisJob, 'plugins' | 'adds'> {
  const asked = spec();
  return asked === undefined ? {} : { plugins: pluginsOf(asked), adds: adds && 'plugins' in asked };
}

const toldFaults: ReadonlySet<string> = new Set([
  'invalid_argument',
  'evidence_missing',
  'evidence_damaged',
  'evidence_deleted',
  'store_refused',
]);

const now = (): string => new Date().toISOString();
