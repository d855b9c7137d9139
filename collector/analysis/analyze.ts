import { mkdir } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { Fault } from '@kcorder/proto/fault.ts';
import { addTo, readAddable } from './addition.ts';
import type { Analysis, AnalysisJob, AnalysisReport, PluginReport, PodContainerNames } from './analysis.ts';
import { leastConfined, probeSurroundings, type Surroundings } from './isolation.ts';
import { clearResults } from './leftovers.ts';
import { type AnalysisLimits, defaultLimits } from './limits.ts';
import { OutputBudget } from './output-budget.ts';
import { runnerPlugins } from './plugin-arguments.ts';
import { PluginRecord } from './plugin-record.ts';
import type { PluginName } from './plugins.ts';
import { defaultPlugins } from './profiles.ts';
import { writeReport } from './report-file.ts';
import { canceledReason, type RunEnd, type RunSettings, runPlugins } from './run.ts';
import { type RunnerProgram, type RunnerSettings, startRunner } from './runner.ts';
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
  /** Bytes of the disk of images and results that nobody is promised. Default: all that are free. */
  readonly freeBytes?: () => Promise<number>;
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
    freeBytes,
  }: AnalysisRules = {},
): RunnerAnalysis {
  let probed: Promise<Surroundings> | undefined;
  const openSettings = async (): Promise<RunnerSettings> => {
    probed ??= probeSurroundings();
    const surroundings = await probed;
    const own = { program, limits, mustBeConfined, accelerated, freeBytes };
    return { ...own, surroundings, workers: Math.min(workers, mostWorkers) };
  };
  const startSpare = async (symbols: SpareSymbols, { images, plugins }: NonNullable<AnalysisRules['spares']>) =>
    await startRunner(await openSettings(), { symbols, plugins, images, dir: tmpdir(), copyDir: images });
  const spares = kept && new Spares((symbols) => startSpare(symbols, kept), kept.most, spareIdleMs);
  return {
    expect: (symbols) => spares?.keep(symbols),
    close: async () => await spares?.close(),
    async analyze(job, signal) {
      signal.throwIfAborted();
      // Before anything is removed.
      runnerPlugins(job.plugins ?? defaultPlugins);
      const settings = { ...(await openSettings()), spares };
      const run = (own: AnalysisJob) => runAll(own, settings, signal);
      try {
        await mkdir(job.outputDir, { recursive: true, mode: 0o700 });
        const earlier = job.adds === true ? await readAddable(job.outputDir) : undefined;
        const report = await (earlier === undefined ? replaceAll(job, run) : addTo(earlier, job, run));
        if (report.kernel !== undefined) spares?.keep(job.symbols);
        return report;
      } catch (error) {
        signal.throwIfAborted();
        throw storageFault(job, error);
      }
    },
  };
}

async function replaceAll(
  job: AnalysisJob,
  run: (job: AnalysisJob) => Promise<AnalysisReport>,
): Promise<AnalysisReport> {
  try {
    await clearResults(job.outputDir);
    const report = await run(job);
    await writeReport(job.outputDir, report);
    return report;
  } catch (error) {
    // What lies there without a report is nobody's result.
    await clearResults(job.outputDir).catch(() => {});
    throw error;
  }
}

async function runAll(
  job: AnalysisJob,
  settings: Omit<RunSettings, 'wallMs'>,
  signal: AbortSignal,
): Promise<AnalysisReport> {
  const { program, limits, surroundings } = settings;
  const startedAt = new Date().toISOString();
  const startedMs = performance.now();
  const plugins = runnerPlugins(job.plugins ?? defaultPlugins).map(({ name }) => name);
  const record = new PluginRecord(job.outputDir, plugins);
  job.begun?.(record);
  const budget = new OutputBudget(limits.outputBytes);
  const runs: RunEnd[] = [];
  try {
    while (record.remaining.length > 0) {
      const before = record.remaining.length;
      const wallMs = limits.wallMs - (performance.now() - startedMs);
      const run = await runPlugins(job, record, budget, { ...settings, wallMs }, signal);
      if (run.broken !== undefined) run.broken = explainBreak(run.broken, job.captureId, run.stderr, program);
      runs.push(run);
      const reason = run.broken?.reason ?? 'protocol';
      await record.failRunning(reason);
      // A run that brought no plugin to an end will not do so the next time either.
      const hopeless = run.broken?.whole === true || record.remaining.length === before;
      const outOfTime = performance.now() - startedMs >= limits.wallMs;
      if (run.broken === undefined || hopeless || outOfTime)
        record.failRemaining(reason === canceledReason ? reason : `not_run: ${reason}`);
    }
  } catch (error) {
    await record.failRunning(canceledReason);
    throw error;
  }
  return {
    captureId: job.captureId,
    ...verdict(runs, record.reports),
    symbols: { source: job.symbols.source, quality: job.symbols.quality, isfSha256: job.symbols.isfSha256 },
    isolation: { ...surroundings.isolation, ...leastConfined(runs.flatMap(({ confined }) => confined)) },
    plugins: withArguments(record.reports, job),
    containers: job.containers.map(namesOf),
    startedAt,
    seconds: Math.round(performance.now() - startedMs) / 1000,
  };
}

/** Reports with what each plugin was told, which is a warning too: rows of one process alone look like those of all. */
function withArguments(reports: readonly PluginReport[], { plugins = [] }: AnalysisJob): PluginReport[] {
  const specs = plugins.filter((plugin) => typeof plugin !== 'string');
  return reports.map((report) => {
    const given = specs.find(({ name }) => name === report.name)?.arguments ?? {};
    const told = Object.entries(given).map(([name, value]) => `${name}=${value.slice(0, 80)}`);
    if (told.length === 0) return report;
    const warning = `run with ${told.join(' ')}: rows that these arguments leave out are not listed`;
    return { ...report, arguments: given, warnings: [warning, ...report.warnings] };
  });
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
