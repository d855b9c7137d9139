import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RangeSource } from '../store/range-source.ts';
import { noise } from '../testing/lime-image.ts';
import type { AnalysisJob, AnalysisReport } from './analysis.ts';
import { createAnalysis } from './analyze.ts';
import { limits, makeJob, program } from './testing/faulty-job.ts';

let outputDir: string;
beforeEach(async () => {
  outputDir = await mkdtemp(join(tmpdir(), 'kcorder-analysis-'));
});
afterEach(() => rm(outputDir, { recursive: true, force: true }));

describe('an image that is read by ranges', () => {
  const data = noise(1, 2 << 20);

  function runOver(plugins: string[], read: RangeSource['read'], workers = 1): Promise<AnalysisReport> {
    const source: RangeSource = { sizeBytes: data.length, read, [Symbol.asyncDispose]: async () => undefined };
    const job: AnalysisJob = { ...makeJob(outputDir, plugins), image: { kind: 'ranges', source } };
    return createAnalysis(program, limits, { workers }).analyze(job, new AbortController().signal);
  }

  test('gives the runner its bytes, also one that had to be started again', async () => {
    const read: RangeSource['read'] = async (offset, length) => data.subarray(offset, offset + length);
    const report = await runOver(['reads_begin', 'segv', 'reads_end'], read);
    expect(report.plugins.map(({ state }) => state)).toEqual(['rows', 'failed', 'rows']);
    for (const [name, offset] of Object.entries({ reads_begin: 0, reads_end: 1 << 20 })) {
      const row = await readFile(join(outputDir, `${name}.jsonl`), 'utf8');
      expect(row).toBe(`${JSON.stringify([data.toString('hex', offset, offset + 64)])}\n`);
    }
  });

  test.each([1, 2])('gives a worker of %i nothing of what was meant for one that has died', async (workers) => {
    const read: RangeSource['read'] = async (offset, length) => data.subarray(offset, offset + length);
    const plugins = ['leaves_an_answer', 'reads_begin', 'leaves_a_part', 'reads_end', 'asks_on', 'after', 'last'];
    const report = await runOver(plugins, read, workers);
    const reasons = report.plugins.map(({ reason }) => reason);
    expect(reasons).toEqual(['signal SIGKILL', '', 'signal SIGKILL', '', 'protocol', '', '']);
    for (const [name, offset] of Object.entries({ reads_begin: 0, reads_end: 1 << 20 })) {
      const row = await readFile(join(outputDir, `${name}.jsonl`), 'utf8');
      expect(row).toBe(`${JSON.stringify([data.toString('hex', offset, offset + 64)])}\n`);
    }
  });

  test.each([1, 2])(
    'leaves %i workers what any has read, also those that come after, and nothing on the disk',
    async (workers) => {
      const asked: number[] = [];
      const read: RangeSource['read'] = async (offset, length) => {
        asked.push(offset);
        return data.subarray(offset, offset + length);
      };
      const report = await runOver(['reads_end', 'segv', 'reads_copy', 'after'], read, workers);
      expect(report.plugins.map(({ state }) => state)).toEqual(['rows', 'failed', 'rows', 'rows']);
      const row = await readFile(join(outputDir, 'reads_copy.jsonl'), 'utf8');
      expect(row).toBe(`${JSON.stringify([data.toString('hex', 1 << 20, (1 << 20) + 64)])}\n`);
      expect(asked).toEqual([1 << 20]);
      const files = ['after.jsonl', 'reads_copy.jsonl', 'reads_end.jsonl', 'report.json'];
      expect((await readdir(outputDir)).toSorted()).toEqual(files);
    },
  );

  test('is kept nowhere if all space is promised to captures', async () => {
    const asked: number[] = [];
    const read: RangeSource['read'] = async (offset, length) => {
      asked.push(length);
      return data.subarray(offset, offset + length);
    };
    const source: RangeSource = { sizeBytes: data.length, read, [Symbol.asyncDispose]: async () => undefined };
    const job: AnalysisJob = { ...makeJob(outputDir, ['reads_end']), image: { kind: 'ranges', source } };
    const analysis = createAnalysis(program, limits, { freeBytes: async () => 0 });
    expect(await analysis.analyze(job, new AbortController().signal)).toMatchObject({ state: 'done' });
    expect(asked).toEqual([65_536]);
  });

  test('and cannot be read ends the whole run with the reason, and no plugin as empty', async () => {
    const read: RangeSource['read'] = async (offset, length) => {
      if (offset > 0) throw new Fault('evidence_damaged', 'bytes 7 to 9 of the packed image x.zst are damaged');
      return data.subarray(offset, offset + length);
    };
    const report = await runOver(['reads_begin', 'reads_end', 'after'], read);
    expect(report).toMatchObject({
      state: 'failed',
      reason: 'image_unreadable',
      detail: 'bytes 7 to 9 of the packed image x.zst are damaged',
    });
    expect(report.plugins.map(({ state, reason }) => [state, reason])).toEqual([
      ['rows', ''],
      ['failed', 'image_unreadable'],
      ['failed', 'not_run: image_unreadable'],
    ]);
    expect(report.diagnostics).toHaveLength(1);
  });

  test('is given up with the analysis, also while a read hangs', async () => {
    const controller = new AbortController();
    const source: RangeSource = {
      sizeBytes: data.length,
      read: async (_offset, _length, signal) => {
        controller.abort(new Error('the end'));
        return await new Promise((_resolve, reject) => {
          if (signal?.aborted === true) reject(signal.reason);
          signal?.addEventListener('abort', () => reject(signal.reason));
        });
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
    const job: AnalysisJob = { ...makeJob(outputDir, ['reads_begin']), image: { kind: 'ranges', source } };
    await expect(createAnalysis(program, limits).analyze(job, controller.signal)).rejects.toThrow('the end');
    expect(await readdir(outputDir)).toEqual([]);
  });
});
