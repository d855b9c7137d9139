import { join } from 'node:path';
import type { AnalysisJob } from '../../../collector/analysis/analysis.ts';
import { createAnalysis } from '../../../collector/analysis/analyze.ts';
import { profiles } from '../../../collector/analysis/profiles.ts';
import { openFile } from '../../../collector/store/file-source.ts';
import type { RangeSource } from '../../../collector/store/range-source.ts';
import { repoDir } from '../../../tools/setup/cache.ts';
import { ensureVolatility } from '../../../tools/setup/volatility.ts';
import type { Range } from './damages.ts';

/** Returns what the plugins that scan nothing ask for of an image, each range once, by its offset: blocks of 64 KiB. */
export async function rangesRead(
  imagePath: string,
  job: Omit<AnalysisJob, 'image' | 'outputDir'>,
  outputDir: string,
): Promise<Range[]> {
  const program = { python: await ensureVolatility(), entry: join(repoDir, 'collector/analysis/volatility/run.py') };
  // Without room for a copy each block is asked for by itself.
  const analysis = createAnalysis(program, undefined, { freeBytes: async () => 0 });
  await using file = await openFile(imagePath, 'the recorded image');
  const lengths = new Map<number, number>();
  const source: RangeSource = {
    sizeBytes: file.sizeBytes,
    read: (offset, length, signal) => {
      lengths.set(offset, Math.max(length, lengths.get(offset) ?? 0));
      return file.read(offset, length, signal);
    },
    [Symbol.asyncDispose]: async () => {},
  };
  const plugins = profiles.standard;
  const image = { kind: 'ranges', source } as const;
  await analysis.analyze({ ...job, image, outputDir, plugins }, new AbortController().signal);
  return [...lengths].map(([offset, length]) => ({ offset, length })).sort((one, other) => one.offset - other.offset);
}
