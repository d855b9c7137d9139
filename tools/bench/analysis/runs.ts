import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { AnalysisReport, ImageSource } from '../../../collector/analysis/analysis.ts';
import { createAnalysis } from '../../../collector/analysis/analyze.ts';
import { repoDir } from '../../setup/cache.ts';
import { ensureVolatility } from '../../setup/volatility.ts';
import { measuredRun } from '../measured-run.ts';
import type { CapturedImage } from './captured.ts';

/** One analysis by the product. */
export interface OurRun {
  /** From its order to its report, with the start of its process and the load of its symbols. */
  readonly seconds: number;
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
  const began = performance.now();
  const report = await analysis.analyze({ ...job, image, plugins, outputDir }, new AbortController().signal);
  const seconds = (performance.now() - began) / 1000;
  if (report.state !== 'done') throw new Error(`the analysis failed: ${report.reason}: ${report.detail}`);
  return { seconds, report };
}

/** Stock Volatility with its caches warm: seconds of one `vol` by plugin, undefined where it ends with an error. */
export async function runPeers(
  { job }: CapturedImage,
  plugins: readonly string[],
  dir: string,
): Promise<ReadonlyMap<string, number | undefined>> {
  const symbolDir = join(dir, 'symbols');
  const cacheDir = join(dir, 'cache');
  for (const path of [join(symbolDir, 'linux'), cacheDir]) mkdirSync(path, { recursive: true });
  copyFileSync(job.symbols.isfPath, join(symbolDir, 'linux', 'kernel.json'));
  const vol = join(dirname(await ensureVolatility()), 'vol');
  const options = ['--offline', '-q', '-r', 'jsonl', '--cache-path', cacheDir, '-s', symbolDir];
  const run = async (plugin: string): Promise<number> => {
    const argv = [vol, ...options, '-f', job.image.path, plugin];
    return (await measuredRun(argv, join(dir, `${plugin}.jsonl`))).seconds;
  };
  await run('linux.pslist.PsList');
  const seconds = new Map<string, number | undefined>();
  for (const plugin of plugins) seconds.set(plugin, await run(plugin).catch(() => undefined));
  return seconds;
}
