import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAnalysis } from '../../../collector/analysis/analyze.ts';
import { LiveAnalyses } from '../../../collector/analysis/live.ts';
import { LiveRows } from '../../../collector/analysis/live-rows.ts';
import { profiles } from '../../../collector/analysis/profiles.ts';
import { repoDir } from '../../setup/cache.ts';
import { ensureVolatility } from '../../setup/volatility.ts';
import type { CapturedImage } from './captured.ts';

/** What one watched analysis took until the first process could be read, and until its table was whole; seconds from its order. */
export interface FirstRow {
  readonly firstSeconds: number;
  readonly tableSeconds: number;
}

/** More than a parent takes to load the symbols of a kernel. */
const warmMs = 15_000;

/** Analyzes with the standard profile and a parent that is kept ready, watched as WatchAnalysis does. */
export async function firstRows({ job }: CapturedImage, dir: string, runs: number): Promise<FirstRow[]> {
  const program = { python: await ensureVolatility(), entry: join(repoDir, 'collector/analysis/volatility/run.py') };
  const plugins = profiles.standard;
  const analysis = createAnalysis(program, undefined, {
    spares: { most: 1, images: dirname(job.image.path), plugins },
  });
  const found: FirstRow[] = [];
  try {
    analysis.expect(job.symbols);
    for (let run = 0; run < runs; run += 1) {
      // The next one is prepared when an analysis has ended.
      await sleep(warmMs);
      const live = new LiveAnalyses();
      const beganMs = performance.now();
      const watched = watchProcesses(live, job.captureId, beganMs);
      const asked = { ...job, plugins, outputDir: join(dir, 'first-row') };
      const done = live.run(asked, (each) => analysis.analyze(each, new AbortController().signal));
      found.push(await Promise.race([watched, done.then(() => watched)]));
      await done;
    }
  } finally {
    await analysis.close();
  }
  return found;
}

async function watchProcesses(live: LiveAnalyses, captureId: string, beganMs: number): Promise<FirstRow> {
  let changed = Promise.withResolvers<void>();
  const stop = live.watch(() => changed.resolve());
  const since = (): number => (performance.now() - beganMs) / 1000;
  let rows: LiveRows | undefined;
  let firstSeconds: number | undefined;
  try {
    while (true) {
      await changed.promise;
      changed = Promise.withResolvers();
      const running = live.of(captureId);
      const processes = running?.plugin('processes');
      if (running === undefined || processes === undefined) continue;
      rows ??= new LiveRows(running, 'processes', false);
      for await (const _ of rows.take(processes)) firstSeconds ??= since();
      if (processes.state === 'failed') throw new Error(`processes failed: ${processes.reason}`);
      if (processes.state === 'rows' && firstSeconds !== undefined) return { firstSeconds, tableSeconds: since() };
    }
  } finally {
    stop();
    await rows?.[Symbol.asyncDispose]();
  }
}
