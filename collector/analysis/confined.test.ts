import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AnalysisJob, AnalysisReport } from './analysis.ts';
import { createAnalysis } from './analyze.ts';
import { defaultLimits } from './limits.ts';
import { program } from './testing/faulty-job.ts';

// The attacks themselves are in volatility/test_confine.py; here is what the collector makes of what a runner tells.

let outputDir: string;
beforeEach(async () => {
  outputDir = await mkdtemp(join(tmpdir(), 'kcorder-confined-'));
});
afterEach(() => rm(outputDir, { recursive: true, force: true }));

function run(name: string, mustBeConfined: boolean, plugins = ['before']): Promise<AnalysisReport> {
  const job: AnalysisJob = {
    captureId: 'c-1',
    image: { kind: 'lime', path: import.meta.filename },
    symbols: { isfPath: `/nonexistent/${name}`, isfSha256: 'ab'.repeat(32), source: 'a test', quality: 'dwarf' },
    kernel: { banner: 'banner of the image', vmcoreinfo: 'OSRELEASE=6.1.0' },
    containers: [],
    outputDir,
    plugins,
  };
  return createAnalysis(program, defaultLimits, { mustBeConfined }).analyze(job, new AbortController().signal);
}

test('the level that was reached is part of the report, whether it was asked for or not', async () => {
  for (const required of [false, true]) {
    const report = await run('kernel.json', required);
    expect(report).toMatchObject({ state: 'done', isolation: { confined: { level: 'full', landlockAbi: 7 } } });
  }
});

test('a machine that confines in part is told of, and refused where full confinement is required', async () => {
  const confined = { level: 'partial', landlockAbi: 0, seccomp: true };
  expect(await run('is confined in part', false)).toMatchObject({ state: 'done', isolation: { confined } });
  const refused = await run('is confined in part', true);
  expect(refused).toMatchObject({ state: 'failed', reason: 'unconfined', isolation: { confined } });
  expect(refused.detail).toContain('Landlock');
  expect(await readdir(outputDir)).toEqual(['report.json']);
});

test('a profile around the collector that kills whoever confines itself is named as the cause', async () => {
  const report = await run('is killed as it confines itself', false);
  expect(report).toMatchObject({ state: 'failed', reason: 'unconfined' });
  expect(report.detail).toMatch(/SIGSYS.*seccomp profile around the collector/);
});

test.each(['tells no confinement', 'tells its confinement twice'])('a runner that %s is not believed', async (name) => {
  expect(await run(name, false)).toMatchObject({ state: 'failed', reason: 'protocol' });
});

test('an image that cannot be opened is told as that', async () => {
  const job: AnalysisJob = {
    captureId: 'c-1',
    image: { kind: 'lime', path: join(outputDir, 'none.lime') },
    symbols: { isfPath: '/nonexistent.json', isfSha256: 'ab'.repeat(32), source: 'a test', quality: 'dwarf' },
    kernel: { banner: '', vmcoreinfo: '' },
    containers: [],
    outputDir,
  };
  const report = await createAnalysis(program).analyze(job, new AbortController().signal);
  expect(report).toMatchObject({ state: 'failed', reason: 'image_rejected' });
  expect(report.detail).toContain('none.lime');
});
