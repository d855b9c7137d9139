import { join } from 'node:path';
import type { Request } from '../capture/capture.ts';
import type { CaptureJournal } from '../journal/capture-journal.ts';
import type { Reanalyses } from '../journal/reanalyses.ts';
import type { KernelIdentity, SymbolsStatus } from '../symbols/symbols.ts';
import { createAnalysis } from './analyze.ts';
import { ResultsIndex } from './index/results-index.ts';
import { defaultLimits } from './limits.ts';
import { LiveAnalyses } from './live.ts';
import { pluginTable } from './plugins.ts';
import { profiles } from './profiles.ts';
import { AnalysisQueue, type QueueDeps } from './queue.ts';

/** The operator's choices. Sizes in bytes, times in milliseconds. */
export interface AnalysisChoices {
  readonly python: string;
  readonly analysisMemoryBytes: number;
  readonly pluginMs: number;
  readonly analysisMustBeConfined: boolean;
  readonly analysisAccelerated: boolean;
  readonly analysisProfile: keyof typeof profiles;
  /** 0: as many as there are processors, within reason. */
  readonly analysisWorkers: number;
  readonly analysisSpares: number;
  readonly reserveBytes: number;
}

/** Everything analyses are made of. */
export interface AnalysisDeps extends Pick<QueueDeps, 'evidence' | 'images' | 'events'> {
  /** `status`: what is known now, without a search. */
  readonly symbols: QueueDeps['symbols'] & { status(kernel: KernelIdentity): SymbolsStatus };
  readonly journal: {
    readonly captures: CaptureJournal;
    readonly reanalyses: Reanalyses;
    /** Promised to captures that run. */
    readonly queries: { reservedBytes(): number };
  };
}

/** Analyses that run one after the other, for which what takes longest is kept ready. */
export interface OpenedAnalysis {
  readonly results: ResultsIndex;
  /** Of analyses that name neither a profile nor plugins. */
  readonly defaultProfile: string;
  /** See AnalysisQueue. */
  cancel(captureId: string, by: string): void;
  readonly live: LiveAnalyses;
  /** Begins. */
  start(): void;
  /** Ends the running analysis, which begins anew after a restart. */
  close(): Promise<void>;
}

/** Opens the queue of analyses, which is woken by whatever is sealed and by whoever asks for an analysis again. */
export function openAnalysis(config: AnalysisChoices, deps: AnalysisDeps): OpenedAnalysis {
  const runner = { python: config.python, entry: join(import.meta.dirname, 'volatility', 'run.py') };
  const limits = { ...defaultLimits, memoryBytes: config.analysisMemoryBytes, pluginWallMs: config.pluginMs };
  const { evidence, images, symbols } = deps;
  const { captures, reanalyses, queries } = deps.journal;
  const results = new ResultsIndex();
  const live = new LiveAnalyses();
  const plugins = profiles[config.analysisProfile];
  const analysis = createAnalysis(runner, limits, {
    mustBeConfined: config.analysisMustBeConfined,
    accelerated: config.analysisAccelerated,
    ...(config.analysisWorkers > 0 && { workers: config.analysisWorkers }),
    // What a capture is promised is not taken from it.
    freeBytes: async () => (await evidence.freeBytes(config.reserveBytes)) - queries.reservedBytes(),
    // Whatever is asked for of them: to import all costs 5 MiB, and a process that is confined may not be able to.
    spares: { most: config.analysisSpares, images: evidence.root, plugins: pluginTable.map(({ name }) => name) },
  });
  const queue = new AnalysisQueue({
    journal: captures,
    again: reanalyses,
    evidence,
    images,
    symbols,
    analysis: {
      analyze: (job, signal) => live.run({ plugins, ...job }, (watched) => analysis.analyze(watched, signal)),
    },
    events: {
      ...deps.events,
      analyzed: async (capture, report) => {
        await deps.events.analyzed(capture, report);
        // The file is made for the first who asks for it, if it is not there by then.
        const captureId = capture.request.id;
        if (report.state === 'done')
          results.prepare(`${evidence.pathOf(captureId)}/analysis`).catch((error: unknown) => {
            deps.events.failed(captureId, error);
          });
      },
    },
  });
  /** While the image comes, the symbols can be loaded. */
  const expectImage = ({ kernel, analyze }: Request): void => {
    const { state } = symbols.status(kernel);
    if (state.kind === 'ready' && analyze !== false) analysis.expect(state);
  };
  const stops: (() => void)[] = [];
  return {
    results,
    defaultProfile: config.analysisProfile,
    cancel: (captureId, by) => queue.cancel(captureId, by),
    live,
    start: () => {
      stops.push(
        reanalyses.watch(() => queue.wake()),
        captures.watch(({ event, capture }) => {
          if (event?.kind === 'opened') expectImage(capture().request);
          if (event !== undefined) queue.wake();
        }),
      );
      queue.wake();
    },
    close: async () => {
      for (const stop of stops) stop();
      await queue.close();
      await results.close();
      await analysis.close();
    },
  };
}
