import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { createAnalysis, type RunnerAnalysis } from './analyze.ts';
import type { Runner } from './runner.ts';
import { Spares } from './spares.ts';
import { limits, makeJob, program } from './testing/faulty-job.ts';

const never = new AbortController().signal;

let outputDir: string;
let analysis: RunnerAnalysis;
beforeEach(async () => {
  outputDir = await mkdtemp(join(tmpdir(), 'kcorder-spares-'));
  analysis = createAnalysis(program, limits, { workers: 2, spares: { most: 1, images: outputDir, plugins: [] } });
});
afterEach(async () => {
  await analysis.close();
  await rm(outputDir, { recursive: true, force: true });
});

/** Runners that this process has started and that live. */
function runners(): number[] {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'latin1').split(' ');
  return children.map(Number).filter((pid) => pid > 0 && commandOf(pid).includes(program.entry));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

async function spare(other?: number): Promise<number> {
  return await until(() => runners().find((pid) => pid !== other));
}

/** Pid of the parent of the worker that ran the plugin. */
async function parentOf(job = makeJob(outputDir, ['parent'])): Promise<number> {
  expect(await analysis.analyze(job, never)).toMatchObject({ state: 'done' });
  return Number(JSON.parse(await readFile(join(job.outputDir, 'parent.jsonl'), 'utf8')));
}

const jobOf = (isf: string) => {
  const job = makeJob(outputDir, ['parent']);
  return { ...job, symbols: { ...job.symbols, isfPath: `/${isf}`, isfSha256: isf.repeat(64) } };
};

test('what is expected is there before its image, serves one analysis, and another takes its place', async () => {
  const job = makeJob(outputDir, ['parent']);
  analysis.expect(job.symbols);
  analysis.expect(job.symbols);
  const first = await spare();
  expect(runners()).toEqual([first]);
  expect(await parentOf(job)).toBe(first);
  const second = await spare(first);
  expect(await parentOf(job)).toBe(second);
  await until(() => runners().length === 1 && !runners().includes(second));
});

test('one for another kernel is not used, and gives way to the one that was wanted last', async () => {
  analysis.expect(jobOf('a').symbols);
  const first = await spare();
  expect(await parentOf(jobOf('b'))).not.toBe(first);
  await until(() => runners().length === 1 && !runners().includes(first));
});

test('one that has died is not used', async () => {
  const job = makeJob(outputDir, ['parent']);
  analysis.expect(job.symbols);
  const first = await spare();
  process.kill(first, 'SIGKILL');
  await until(() => !runners().includes(first));
  expect(await parentOf(job)).not.toBe(first);
});

test('one has its plain copy beside the images, by no name, and can only read it', async () => {
  analysis.expect(makeJob(outputDir, []).symbols);
  const pid = await spare();
  const fds = readdirSync(`/proc/${pid}/fd`);
  const copy = fds.find((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(`${outputDir}/`));
  expect(readlinkSync(`/proc/${pid}/fd/${copy}`)).toMatch(/\.copy \(deleted\)$/);
  expect(readFileSync(`/proc/${pid}/fdinfo/${copy}`, 'latin1')).toMatch(/^flags:\s+0[0-7]*[04]$/m);
  expect(readdirSync(outputDir)).toEqual([]);
});

test('when all is closed none is left, nor its directory, and none comes any more', async () => {
  const { symbols } = makeJob(outputDir, []);
  analysis.expect(symbols);
  const directory = await until(() => readDirectory(runners()[0]));
  await analysis.close();
  expect(runners()).toEqual([]);
  expect(existsSync(directory)).toBe(false);
  analysis.expect(symbols);
  expect(await parentOf()).toBeGreaterThan(0);
  expect(runners()).toEqual([]);
});

function readDirectory(pid: number | undefined): string | undefined {
  const home =
    pid === undefined ? undefined : /HOME=([^\0]+)/.exec(readFileSync(`/proc/${pid}/environ`, 'latin1'))?.[1];
  return home !== undefined && existsSync(dirname(home)) ? home : undefined;
}

test('one that nobody has wanted for a time ends', async () => {
  const ended: string[] = [];
  const dispose = async () => void ended.push('a');
  const runner = { gone: false, [Symbol.asyncDispose]: dispose } as unknown as Runner;
  const spares = new Spares(async () => runner, 1, 1);
  const symbols = { isfPath: '/a', isfSha256: 'a' };
  spares.keep(symbols);
  await until(() => ended.length === 1);
  expect(await spares.take(symbols)).toBeUndefined();
  await spares.close();
});
