import { mkdir, readdir, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import {
  type Analysis,
  type AnalysisJob,
  type AnalysisReport,
  type Confined,
  confinementLevels,
  type Isolation,
  type PodContainerNames,
} from './analysis.ts';
import { probeSurroundings, type Surroundings } from './isolation.ts';
import { type AnalysisLimits, defaultLimits } from './limits.ts';
import { OutputBudget } from './output-budget.ts';
import { runnerPlugins } from './plugin-arguments.ts';
import { PluginRecord } from './plugin-record.ts';
import type { PluginName } from './plugins.ts';
import { defaultPlugins } from './profiles.ts';
import { reportPath, writeReport } from './report-file.ts';
import { type RunEnd, type RunSettings, runPlugins } from './run.ts';
import { type RunnerProgram, type RunnerSettings, runDirPrefix, startRunner } from './runner.ts';
import { type SpareSymbols, Spares } from './spares.ts';
import { explainBreak, verdict } from './verdict.ts';

const mostWorkersByDefault = 4;
/** What the runner may have open besides is little: confine.py. */
const mostWorkers = 16;
const spareIdleMs = 15 * 60_000;

export interface AnalysisRules {
  /** Fails an analysis, before the image is read, where this machine cannot confine it in full. */
  readonly mustBeConfined?: boolean;
  /** False: Volatility's own code paths alone, which are slower and give the same rows. Default: true. */
  readonly accelerated?: boolean;
  /** How many plugins run at the same time. Default: one per processor, up to four. */
  readonly workers?: number;
  /** Runners that are kept ready for these plugins, and for images in this directory; none by default. */
  readonly spares?: { readonly most: number; readonly images: string; readonly plugins: readonly PluginName[] };
}

/** Analyses by a program that is started for it, or kept ready. */
export interface RunnerAnalysis extends Analysis {
  /** An image of the kernel of these symbols is to be expected. */
  expect(symbols: SpareSymbols): void;
  /** Ends what is kept ready. */
  close(): Promise<void>;
}

/**
 * Analyses one image in a child process and its workers: a plugin that breaks its worker costs no other. The child is started again for the plugins
 * that remain as often as it takes.
 */
export function createAnalysis(
  program: RunnerProgram,
  limits: AnalysisLimits = defaultLimits,
  {
    mustBeConfined = false,
    accelerated = true,
    workers = Math.min(availableParallelism(), mostWorkersByDefault),
    spares: kept,
  }: AnalysisRules = {},
): RunnerAnalysis {
  let probed: Promise<Surroundings> | undefined;
  const openSettings = async (): Promise<RunnerSettings> => {
    probed ??= probeSurroundings();
    const surroundings = await probed;
    return { program, limits, mustBeConfined, accelerated, surroundings, workers: Math.min(workers, mostWorkers) };
  };
  const startSpare = async (symbols: SpareSymbols, { images, plugins }: NonNullable<AnalysisRules['spares']>) =>
    await startRunner(await openSettings(), { symbols, plugins, images, dir: tmpdir() });
  const spares = kept && new Spares((symbols) => startSpare(symbols, kept), kept.most, spareIdleMs);
  return {
    expect: (symbols) => spares?.keep(symbols),
    close: async () => await spares?.close(),
    async analyze(job, signal) {
      signal.throwIfAborted();
      const settings = { ...(await openSettings()), spares };
      const plugins = runnerPlugins(job.plugins ?? defaultPlugins).map(({ name }) => name);
      try {
        await mkdir(job.outputDir, { recursive: true, mode: 0o700 });
        await clear(job.outputDir);
        const report = await runAll(job, plugins, settings, signal);
        await writeReport(job.outputDir, report);
        if (report.kernel !== undefined) spares?.keep(job.symbols);
        return report;
      } catch (error) {
        // What lies there without a report is nobody's result.
        await clear(job.outputDir).catch(() => {});
        signal.throwIfAborted();
        throw storageFault(job, error);
      }
    },
  };
}

async function runAll(
  job: AnalysisJob,
  plugins: readonly string[],
  settings: Omit<RunSettings, 'wallMs'>,
  signal: AbortSignal,
): Promise<AnalysisReport> {
  const { program, limits, surroundings } = settings;
  const startedAt = new Date().toISOString();
  const startedMs = performance.now();
  const record = new PluginRecord(job.outputDir, plugins);
  const budget = new OutputBudget(limits.outputBytes);
  const runs: RunEnd[] = [];
  try {
    while (record.remaining.length > 0) {
      const before = record.remaining.length;
      const wallMs = limits.wallMs - (performance.now() - startedMs);
      const run = await runPlugins(job, record, budget, { ...settings, wallMs }, signal);
      if (run.broken !== undefined) run.broken = explainBreak(run.broken, run.stderr, program);
      runs.push(run);
      const reason = run.broken?.reason ?? 'protocol';
      await record.failRunning(reason);
      // A run that brought no plugin to an end will not do so the next time either.
      const hopeless = run.broken?.whole === true || record.remaining.length === before;
      const outOfTime = performance.now() - startedMs >= limits.wallMs;
      if (run.broken === undefined || hopeless || outOfTime) record.failRemaining(`not_run: ${reason}`);
    }
  } catch (error) {
    await record.failRunning('canceled');
    throw error;
  }
  return {
    captureId: job.captureId,
    ...verdict(runs, record.reports),
    symbols: { source: job.symbols.source, quality: job.symbols.quality, isfSha256: job.symbols.isfSha256 },
    isolation: { ...surroundings.isolation, ...leastConfined(runs) },
    plugins: record.reports,
    containers: job.containers.map(namesOf),
    startedAt,
    seconds: Math.round(performance.now() - startedMs) / 1000,
  };
}

/** Returns the lowest confinement of all runs of an analysis. */
function leastConfined(runs: readonly RunEnd[]): Pick<Isolation, 'confined'> {
  const rank = ({ level }: Confined) => confinementLevels.indexOf(level);
  const [least] = runs.flatMap(({ confined }) => confined).sort((one, other) => rank(one) - rank(other));
  return least === undefined ? {} : { confined: least };
}

/** Removes what an analysis left, its report first. */
async function clear(outputDir: string): Promise<void> {
  await rm(reportPath(outputDir), { force: true });
  for (const name of await readdir(outputDir)) {
    const ours = name.startsWith(runDirPrefix) || name.endsWith('.jsonl') || name.endsWith('.part');
    if (ours) await rm(join(outputDir, name), { recursive: true, force: true });
  }
}

function namesOf(container: PodContainerNames): PodContainerNames {
  const { podNamespace, podName, podUid, containerName, containerId, configHash } = container;
  return { podNamespace, podName, podUid, containerName, containerId, ...(configHash ? { configHash } : {}) };
}

function storageFault(job: AnalysisJob, error: unknown): Fault {
  if (error instanceof Fault) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const message = `the results of the analysis of capture ${job.captureId} could not be written to ${job.outputDir} (${reason}); check its rights and its free space`;
  return new Fault('storage_failed', message, { cause: error });
}
