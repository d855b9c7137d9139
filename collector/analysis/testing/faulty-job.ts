import { join } from 'node:path';
import type { AnalysisJob } from '../analysis.ts';
import type { AnalysisLimits } from '../limits.ts';
import type { RunnerProgram } from '../runner.ts';

/** run.py with an analysis that misbehaves as its plugins are called. */
export const program: RunnerProgram = {
  python: '/usr/bin/python3',
  entry: join(import.meta.dirname, '..', 'volatility', 'testing', 'faulty.py'),
};
export const limits: AnalysisLimits = {
  pluginWallMs: 20_000,
  wallMs: 60_000,
  memoryBytes: 2 ** 30,
  fileBytes: 2 ** 20,
  outputBytes: 4 * 2 ** 20,
  lineBytes: 2 ** 20,
};

export function makeJob(outputDir: string, plugins: string[], banner = 'banner of the image'): AnalysisJob {
  const image = { kind: 'lime', path: import.meta.filename } as const;
  const kernel = { banner, vmcoreinfo: 'OSRELEASE=6.1.0' };
  const isf = { isfPath: '/nonexistent.json', isfSha256: 'ab'.repeat(32) };
  const symbols = { ...isf, source: 'a test', quality: 'dwarf' } as const;
  return { captureId: 'c-1', image, symbols, kernel, containers: [], outputDir, plugins };
}
