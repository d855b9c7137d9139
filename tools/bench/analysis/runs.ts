import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { AnalysisReport, ImageSource } from '../../../collector/analysis/analysis.ts';
import { createAnalysis } from '../../../collector/analysis/analyze.ts';
import { repoDir } from '../../setup/cache.ts';
import { ensureVolatility } from '../../setup/volatility.ts';
import { measuredRun } from '../measured-run.ts';
import type { CapturedImage } from './captured.ts';

/** What a program took. */
export interface Cost {
  readonly seconds: number;
  /** Of the processor, user and system, which other work on the machine changes little. */
  readonly cpuSeconds: number;
}

/** One analysis by the product, from its order to its report, with the start of its process and the load of its symbols. */
export interface OurRun extends Cost {
  readonly report: AnalysisReport;
}

/** Analyses with the product. `image` instead of the captured one when it is given. */
export async function runOurs(
  { job }: CapturedImage,
  plugins: readonly string[],
  outputDir: string,
  { image = job.image, accelerated = true }: { image?: ImageSource; accelerated?: boolean } = {},
): Promise<OurRun> {
  const program = { python: await ensureVolatility(), entry: join(repoDir, 'collector/analysis/volatility/run.py') };
  const analysis = createAnalysis(program, undefined, { mustBeConfined: false, accelerated });
  const { result: report, ...cost } = await costOf(() =>
    analysis.analyze({ ...job, image, plugins, outputDir }, new AbortController().signal),
  );
  if (report.state !== 'done') throw new Error(`the analysis failed: ${report.reason}: ${report.detail}`);
  return { ...cost, report };
}

/** Stock Volatility with its caches warm: the cost of one `vol` by plugin, undefined where it ends with an error. */
export async function runPeers(
  { job }: CapturedImage,
  plugins: readonly string[],
  dir: string,
): Promise<ReadonlyMap<string, Cost | undefined>> {
  const symbolDir = join(dir, 'symbols');
  const cacheDir = join(dir, 'cache');
  for (const path of [join(symbolDir, 'linux'), cacheDir]) mkdirSync(path, { recursive: true });
  copyFileSync(job.symbols.isfPath, join(symbolDir, 'linux', 'kernel.json'));
  const vol = join(dirname(await ensureVolatility()), 'vol');
  const options = ['--offline', '-q', '-r', 'jsonl', '--cache-path', cacheDir, '-s', symbolDir];
  const run = async (plugin: string): Promise<Cost> => {
    const argv = [vol, ...options, '-f', job.image.path, plugin];
    const { result, cpuSeconds } = await costOf(() => measuredRun(argv, join(dir, `${plugin}.jsonl`)));
    return { seconds: result.seconds, cpuSeconds };
  };
  await run('linux.pslist.PsList');
  const costs = new Map<string, Cost | undefined>();
  for (const plugin of plugins) costs.set(plugin, await run(plugin).catch(() => undefined));
  return costs;
}

async function costOf<T>(work: () => Promise<T>): Promise<Cost & { readonly result: T }> {
  const [beganMs, before] = [performance.now(), endedChildrenCpuSeconds()];
  const result = await work();
  return { result, seconds: (performance.now() - beganMs) / 1000, cpuSeconds: endedChildrenCpuSeconds() - before };
}

/** Processor time of all children of this process that have ended, and of theirs. */
function endedChildrenCpuSeconds(): number {
  const ticksPerSecond = 100;
  const fields = readFileSync('/proc/self/stat', 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[13]) + Number(fields[14])) / ticksPerSecond;
}
