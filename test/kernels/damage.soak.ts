import { chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AnalysisJob } from '../../collector/analysis/analysis.ts';
import { defaultLimits } from '../../collector/analysis/limits.ts';
import { profiles } from '../../collector/analysis/profiles.ts';
import { analyzeMeasured, type Taken } from '../../collector/analysis/testing/large-image.ts';
import { fuzzSeed, random } from '../../isf/testing/damage.ts';
import { fuzzRuns } from '../../tools/fuzz-runs.ts';
import { ensureVolatility } from '../../tools/setup/volatility.ts';
import { damages, type Range } from './damage/damages.ts';
import { flawsOf } from './damage/flaws.ts';
import { rangesRead } from './damage/read-ranges.ts';
import { slipsOf } from './damage/tracebacks.ts';
import { ensureRecording, type Recording } from './record.ts';
import { recordedNode } from './recorded.ts';
import { replay } from './replay.ts';

const mebibyte = 2 ** 20;
const columns = ['rows', 'empty', 'failed', 'unsupported'] as const;

let dir: string;
let imagePath: string;
let job: Omit<AnalysisJob, 'image' | 'outputDir'>;
let read: readonly Range[];
const tally: string[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kcorder-damage-'));
  const recording = await ensureRecording(recordedNode('6.1', false));
  imagePath = recording.imagePath;
  job = await jobOf(recording);
  read = await rangesRead(imagePath, job, join(dir, 'read'));
}, 1_200_000);

afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
  const head = ['damage', 'seed', 'analysis', ...columns, 'seconds', 'MiB of memory'];
  process.stdout.write(`\n| ${head.join(' | ')} |\n|${'---|'.repeat(head.length)}\n${tally.join('\n')}\n`);
});

/** Has the product make the symbols; its processes are gone afterwards, or they would count as memory of the analysis. */
async function jobOf(recording: Recording): Promise<typeof job> {
  await using node = await replay(recording);
  const { captureId, kernel, containers } = node.job;
  const isfPath = join(dir, 'isf.json');
  copyFileSync(node.btfPath, isfPath);
  const isfSha256 = basename(node.btfPath, '.json');
  return { captureId, kernel, containers, symbols: { isfPath, isfSha256, source: 'test', quality: 'btf' } };
}

const rounds = Array.from({ length: fuzzRuns(1) }, (_, round) => fuzzSeed + round);

test.each(rounds.flatMap((seed) => damages.map((damage) => ({ seed, name: damage.name, damage }))))(
  'an image with $name, by the seed $seed, is analyzed to an end that says what was found and why no more',
  async ({ seed, name, damage }) => {
    const path = join(dir, 'image.lime');
    writeFileSync(path, damage.apply({ image: readFileSync(imagePath), read, next: random(seed) }));
    const outputDir = join(dir, 'out');
    const logPath = join(dir, 'stderr');
    const python = await pythonWithLog(logPath);
    const taken = await analyzeMeasured(python, { job }, { kind: 'lime', path }, outputDir, profiles.deep);
    const slips = slipsOf(readFileSync(logPath, 'utf8'));
    const flaws = [...(await flawsOf(taken.report, outputDir, profiles.deep)), ...new Set(slips)];
    rmSync(outputDir, { recursive: true });
    tellOf(name, seed, taken, flaws);
    expect(flaws).toEqual([]);
    expect(taken.runnerBytes).toBeLessThan(defaultLimits.memoryBytes);
  },
);

/** A Python that adds what it writes to stderr to a file. */
async function pythonWithLog(logPath: string): Promise<string> {
  const path = join(dir, 'python');
  writeFileSync(logPath, '');
  writeFileSync(path, `#!/bin/sh\nexec '${await ensureVolatility()}' "$@" 2>>'${logPath}'\n`);
  chmodSync(path, 0o755);
  return path;
}

/** At once too: a soak that is broken off has still shown it. */
function tellOf(name: string, seed: number, { report, runnerBytes }: Taken, flaws: readonly string[]): void {
  const counts = columns.map((state) => report.plugins.filter((plugin) => plugin.state === state).length);
  const end = report.state === 'done' ? 'done' : report.reason;
  const row = `| ${[name, seed, end, ...counts, report.seconds, Math.ceil(runnerBytes / mebibyte)].join(' | ')} |`;
  tally.push(row);
  const reasons = report.plugins
    .filter(({ state }) => state === 'failed')
    .map(({ name: plugin, reason }) => `  ${plugin}: ${reason}`);
  process.stdout.write(`${[row, ...reasons, ...flaws.map((flaw) => `  FLAW ${flaw}`)].join('\n')}\n`);
}
