import { join } from 'node:path';
import type { CaptureJournal } from '../journal/capture-journal.ts';
import type { Reanalyses } from '../journal/reanalyses.ts';
import { createAnalysis } from './analyze.ts';
import { defaultLimits } from './limits.ts';
import { AnalysisQueue, type QueueDeps } from './queue.ts';

/** The operator's choices. Sizes in bytes, times in milliseconds. */
export interface AnalysisChoices {
  readonly python: string;
  readonly analysisMemoryBytes: number;
  readonly pluginMs: number;
  readonly analysisMustBeConfined: boolean;
  readonly analysisAccelerated: boolean;
}

/** Everything analyses are made of. */
export interface AnalysisDeps extends Pick<QueueDeps, 'evidence' | 'images' | 'symbols' | 'events'> {
  readonly journal: { readonly captures: CaptureJournal; readonly reanalyses: Reanalyses };
}

/** Analyses that run one after the other. */
export interface OpenedAnalysis {
  /** Begins. */
  start(): void;
  /** Ends the running analysis, which begins anew after a restart. */
  close(): Promise<void>;
}

/** Opens the queue of analyses, which is woken by whatever is sealed and by whoever asks for an analysis again. */
export function openAnalysis(config: AnalysisChoices, deps: AnalysisDeps): OpenedAnalysis {
  const runner = { python: config.python, entry: join(import.meta.dirname, 'volatility', 'run.py') };
  const limits = { ...defaultLimits, memoryBytes: config.analysisMemoryBytes, pluginWallMs: config.pluginMs };
  const { analysisMustBeConfined: mustBeConfined, analysisAccelerated: accelerated } = config;
  const analysis = createAnalysis(runner, limits, { mustBeConfined, accelerated });
  const { evidence, images, symbols, events } = deps;
  const { captures, reanalyses } = deps.journal;
  const queue = new AnalysisQueue({
    journal: captures,
    again: reanalyses,
    evidence,
    images,
    symbols,
    analysis,
    events,
  });
  const stops: (() => void)[] = [];
  return {
    start: () => {
      stops.push(
        reanalyses.watch(() => queue.wake()),
        captures.watch(({ event }) => {
          if (event !== undefined) queue.wake();
        }),
      );
      queue.wake();
    },
    close: async () => {
      for (const stop of stops) stop();
      await queue.close();
    },
  };
}
