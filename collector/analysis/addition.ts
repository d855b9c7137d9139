import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { PluginSpec } from '../capture/capture.ts';
import type { AnalysisJob, AnalysisReport, PluginReport } from './analysis.ts';
import { leastConfined } from './isolation.ts';
import { makeAddedDir, removeIndexes, removeUnreported } from './leftovers.ts';
import { readReport, writeReport } from './report-file.ts';
import { placingPlugin } from './spec.ts';

const mostDiagnostics = 50;
const notReplaced = 'not_replaced: ';

/** The report in a directory, if plugins can be added to it: at least one of its own did not fail. Throws evidence_missing when it is damaged. */
export async function readAddable(outputDir: string): Promise<AnalysisReport | undefined> {
  const report = await readReport(outputDir);
  return report?.plugins.some(({ state }) => state !== 'failed') === true ? report : undefined;
}

/** The rows that plugins would replace by those of a run with other arguments, each as a part of a sentence. */
export function replacedRows(earlier: AnalysisReport, plugins: readonly PluginSpec[]): string[] {
  return plugins.flatMap(({ name, arguments: given = {} }) => {
    const { state, rowCount, arguments: before = {} } = earlier.plugins.find((plugin) => plugin.name === name) ?? {};
    if (state !== 'rows' || isDeepStrictEqual(before, given)) return [];
    const told = Object.entries(before).map(([argument, value]) => `${argument}=${value}`);
    return [`${rowCount} rows of ${name}, run ${told.length === 0 ? 'without arguments' : `with ${told.join(' ')}`}`];
  });
}

/**
 * Runs plugins and adds them to earlier results, in place of what these have of the same plugins, unless one fails that had a result. New rows lie in a directory of their own, which
 * counts for nothing until the report names it: whoever is killed leaves the earlier results or the new ones. Returns the report of all of them, or
 * one that failed, is not kept and has changed nothing.
 */
export async function addTo(
  earlier: AnalysisReport,
  job: AnalysisJob,
  run: (job: AnalysisJob) => Promise<AnalysisReport>,
): Promise<AnalysisReport> {
  const { outputDir } = job;
  const used = earlier.symbols?.isfSha256;
  if (used !== job.symbols.isfSha256)
    return refused(job, 'symbols_changed', `with the symbols ${used ?? 'of an earlier version'}`);
  await removeUnreported(outputDir, earlier);
  const directory = await makeAddedDir(outputDir);
  let kept = false;
  try {
    const added = await run({ ...job, plugins: lackingPlugins(earlier, job), outputDir: directory });
    if (added.state === 'failed') return { ...added, kernelMismatch: false };
    const [before, now] = [earlier, added].map(({ versions }) => versions.volatility);
    // A run that broke off told none.
    if (before !== undefined && now !== undefined && before !== now)
      return refused(job, 'versions_changed', `by Volatility ${before}`);
    const report = merge(earlier, added, basename(directory));
    await writeReport(outputDir, report);
    kept = true;
    await removeReplaced(outputDir, report);
    return report;
  } finally {
    if (!kept) await rm(directory, { recursive: true, force: true });
  }
}

/** Those of a job, without what it has for placing rows if that is there. */
function lackingPlugins(earlier: AnalysisReport, { plugins = [] }: AnalysisJob): NonNullable<AnalysisJob['plugins']> {
  const isPlaced = earlier.plugins.some(({ name, state }) => name === placingPlugin && state === 'rows');
  // By its name alone nobody asked for it.
  return plugins.filter((plugin) => plugin !== placingPlugin || !isPlaced);
}

function refused({ captureId }: AnalysisJob, reason: string, how: string): AnalysisReport {
  return {
    ...{ captureId, state: 'failed', reason, kernelMismatch: false, seconds: 0 },
    detail: `the earlier results were made ${how}, and rows of both would not fit together: run everything again with 'kcorder analyze ${captureId} --profile NAME', then add the plugin`,
    ...{ versions: {}, isolation: { network: 'shared', endsWithCollector: false } },
    ...{ plugins: [], containers: [], diagnostics: [], startedAt: new Date().toISOString() },
  };
}

function merge(earlier: AnalysisReport, added: AnalysisReport, directory: string): AnalysisReport {
  const ran = new Map<string, PluginReport>(
    added.plugins.map((plugin) => [plugin.name, plugin.state === 'rows' ? { ...plugin, directory } : plugin]),
  );
  const known = new Set(earlier.plugins.map(({ name }) => name));
  const least = leastConfined([earlier, added].flatMap(({ isolation }) => isolation.confined ?? []));
  return {
    ...earlier,
    ...{ state: 'done', reason: '', detail: '', added: [...ran.keys()] },
    kernelMismatch: earlier.kernelMismatch || added.kernelMismatch,
    isolation: { ...earlier.isolation, ...least },
    plugins: [
      ...earlier.plugins.map((plugin) => better(plugin, ran.get(plugin.name))),
      ...[...ran.values()].filter(({ name }) => !known.has(name)),
    ],
    diagnostics: [...earlier.diagnostics, ...added.diagnostics].slice(-mostDiagnostics),
    seconds: earlier.seconds + added.seconds,
  };
}

/** The later of two results of a plugin, unless it alone is none: nobody loses rows by asking for them again. */
function better(earlier: PluginReport, later: PluginReport = earlier): PluginReport {
  if (later === earlier || later.state !== 'failed' || earlier.state === 'failed') return later;
  const warnings = earlier.warnings.filter((warning) => !warning.startsWith(notReplaced));
  const told = `${notReplaced}the plugin ran again and failed (${later.reason}), so this is its earlier result`;
  return { ...earlier, warnings: [told, ...warnings] };
}

/** True for a plugin that ran, failed, and has the result of a run before. */
export function failedAgain({ warnings }: Pick<PluginReport, 'warnings'>): boolean {
  return warnings.some((warning) => warning.startsWith(notReplaced));
}

/** What stays is removed by the next analysis: the new results are whole. */
async function removeReplaced(outputDir: string, report: AnalysisReport): Promise<void> {
  await removeIndexes(outputDir)
    .then(() => removeUnreported(outputDir, report))
    .catch(() => undefined);
}
