import { readdir } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import type { AnalysisReport, PluginReport } from '../../../collector/analysis/analysis.ts';
import { findingsOf } from '../../../collector/analysis/findings.ts';
import { ResultsIndex } from '../../../collector/analysis/index/results-index.ts';
import { type AnalysisLimits, defaultLimits } from '../../../collector/analysis/limits.ts';
import { readColumn, readProcesses, readReport, streamRows } from '../../../collector/analysis/results.ts';

const never = new AbortController().signal;
/** How a limit ends a plugin, or the analysis. */
const byLimit = /^(timeout|out_of_memory|output_limit)\b/;
/** What says that a worker of ours has broken. */
const crash = /^(signal|exit|protocol|canceled|unconfined|runner_failed|runner_unavailable|crashed)\b/;
/** From the last limit until the processes are gone and the results are on the disk. */
const graceMs = 60_000;

/** Whatever the product does not promise of an analysis that has ended, as sentences. */
export async function flawsOf(
  report: AnalysisReport,
  outputDir: string,
  plugins: readonly string[],
  limits: AnalysisLimits = defaultLimits,
): Promise<string[]> {
  const names = report.plugins.map(({ name }) => name);
  return [
    ...(isDeepStrictEqual(names, plugins) ? [] : [`plugins are missing: ${names}`]),
    ...(report.seconds * 1000 <= limits.wallMs + graceMs ? [] : [`it took ${report.seconds} s`]),
    ...(report.isolation.confined?.level === 'full' ? [] : ['it was not confined in full']),
    ...(report.state === 'done' || report.detail !== '' ? [] : ['it failed without a detail']),
    ...(crash.test(report.reason) ? [`it failed by ${report.reason}: ${report.detail}`] : []),
    ...report.diagnostics.filter((text) => !byLimit.test(text) && !text.startsWith(`${report.reason}: `)),
    ...report.plugins.flatMap((plugin) => flawsOfEnding(plugin, report)),
    ...(await flawsOfFiles(report, outputDir)),
  ];
}

function flawsOfEnding({ name, state, reason, rowCount }: PluginReport, report: AnalysisReport): string[] {
  const told = `${name} ${state} (${reason}) with ${rowCount} rows`;
  if ((state === 'rows' || state === 'empty') !== (reason === '')) return [told];
  if ((state === 'rows') !== rowCount > 0 || /[\r\n]/.test(reason)) return [told];
  const [, why] = /^not_run: (.*)$/s.exec(reason) ?? [];
  if (why !== undefined && why !== report.reason && !byLimit.test(why)) return [told];
  return crash.test(reason) ? [told] : [];
}

/** Reads everything back as the product does. */
async function flawsOfFiles(report: AnalysisReport, outputDir: string): Promise<string[]> {
  const withRows = report.plugins.filter(({ state }) => state === 'rows');
  const expected = ['report.json', ...withRows.map(({ name }) => `${name}.jsonl`)].sort();
  const found = (await readdir(outputDir)).sort();
  const flaws = isDeepStrictEqual(found, expected) ? [] : [`it left ${found}, and not ${expected}`];
  const attempts = [
    async () => {
      const kept = await readReport(outputDir);
      const { version: _, ...rest } = { version: 0, ...kept };
      if (!isDeepStrictEqual(rest, JSON.parse(JSON.stringify(report)))) throw new Error('report.json is another one');
    },
    ...withRows.map(({ name }) => async () => {
      for await (const _ of streamRows(outputDir, report, name));
    }),
    async () => {
      const modules = await readColumn(outputDir, report, 'hiddenModules', 'name');
      findingsOf(report, await readProcesses(outputDir, report), modules);
    },
    ...[false, true].map((unmask) => () => readIndex(report, outputDir, unmask)),
  ];
  for (const attempt of attempts) await attempt().catch((error: unknown) => void flaws.push(`read back: ${error}`));
  return flaws;
}

/** Has the index made and asks it for a page of every plugin. */
async function readIndex({ plugins }: AnalysisReport, outputDir: string, unmask: boolean): Promise<void> {
  const index = new ResultsIndex();
  const all = { conditions: [], namespace: '', pod: '', container: '', pid: undefined, order: undefined };
  try {
    await index.prepare(outputDir, unmask);
    for (const { name: plugin, state, rowCount } of plugins) {
      if (state !== 'rows') continue;
      const page = await index.page(outputDir, { ...all, plugin, unmask, pageSize: 1000, pageToken: '' }, never);
      if (page.rowCount !== rowCount) throw new Error(`the index has ${page.rowCount} rows of ${plugin}'s ${rowCount}`);
    }
  } finally {
    await index.close();
  }
}
