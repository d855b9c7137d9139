import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Outcome } from '../capture/capture.ts';
import { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import { CaptureJournal } from '../journal/captures.ts';
import { openDatabase } from '../journal/database.ts';
import type { Symbols, SymbolsEnd } from '../symbols/symbols.ts';
import { makeScratch, until } from '../testing/files.ts';
import { events, partial, request } from '../testing/states.ts';
import type { Analysis, AnalysisJob, AnalysisReport } from './analysis.ts';
import { AnalysisQueue } from './queue.ts';

const ready: SymbolsEnd = {
  kind: 'ready',
  isfPath: '/symbols/k.json',
  source: 'a directory',
  quality: 'dwarf',
  isfSha256: 'ab'.repeat(32),
};
const report: AnalysisReport = {
  captureId: 'c-1',
  state: 'done',
  reason: '',
  detail: '',
  kernelMismatch: false,
  versions: {},
  isolation: { network: 'none', endsWithCollector: true },
  plugins: [],
  containers: [],
  diagnostics: [],
  startedAt: '2026-01-01T00:00:00.000Z',
  seconds: 1,
};

/** A journal with sealed captures, and a queue whose symbols and analyses are made up. */
function rig(parts: { symbols?: SymbolsEnd; analyze?: Analysis['analyze'] } = {}) {
  const scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  const journal = new CaptureJournal(database);
  const jobs: AnalysisJob[] = [];
  const failures: unknown[] = [];
  const symbols: Symbols = { find: async () => parts.symbols ?? ready };
  const analyze: Analysis['analyze'] = async (job, signal) => {
    jobs.push(job);
    return (await parts.analyze?.(job, signal)) ?? report;
  };
  const open = () =>
    new AnalysisQueue(
      journal,
      new EvidenceDirectory(scratch.dir),
      symbols,
      { analyze },
      {
        analyzed: () => undefined,
        failed: (_captureId, error) => failures.push(error),
      },
    );
  const queue = open();
  return {
    ...{ journal, queue, open, jobs, failures, dir: scratch.dir },
    sealed: (id: string, outcome: Outcome = events.sealed.outcome) => {
      const node = { name: id, uid: `uid-${id}` };
      journal.create({ ...request, id, node }, id, 1e9);
      for (const event of [events.opened, events.finished, { ...events.sealed, outcome }])
        journal.apply(id, event, 'test');
    },
    done: async (id: string) =>
      await until(() => {
        const { state } = journal.get(id);
        return state.phase === 'done' && state;
      }),
    [Symbol.asyncDispose]: async () => {
      await queue.close();
      database.close();
      scratch[Symbol.dispose]();
    },
  };
}

test('sealed captures are analysed one after the other, each where its image lies', async () => {
  let running = 0;
  await using r = rig({
    analyze: async () => {
      running += 1;
      expect(running).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      running -= 1;
      return report;
    },
  });
  r.sealed('c-1');
  r.sealed('c-2');
  r.queue.wake();
  r.queue.wake();
  expect((await r.done('c-2')).analysis).toEqual({ kind: 'done' });
  expect((await r.done('c-1')).analysis).toEqual({ kind: 'done' });
  expect(r.jobs.map(({ captureId }) => captureId)).toEqual(['c-1', 'c-2']);
  expect(r.jobs[0]).toMatchObject({
    image: { kind: 'lime', path: join(r.dir, 'evidence/c-1/image.lime') },
    symbols: { isfPath: '/symbols/k.json', source: 'a directory', quality: 'dwarf' },
  });
});

test('an image that is not complete is not analysed', async () => {
  await using r = rig();
  r.sealed('c-1', partial);
  r.queue.wake();
  expect((await r.done('c-1')).analysis).toMatchObject({ kind: 'skipped', reason: 'image_partial' });
  expect(r.jobs).toEqual([]);
});

test.each<[string, SymbolsEnd, string, RegExp]>([
  [
    'no symbols',
    { kind: 'missing', looked: ['/symbols: empty'], advice: 'Put vmlinux there.' },
    'symbols_missing',
    /Put vmlinux there\. Looked in: \/symbols: empty/,
  ],
  ['symbols of another build', { kind: 'mismatch', detail: 'it is of 5.15' }, 'symbols_mismatch', /it is of 5\.15/],
  ['symbols that cannot be used', { kind: 'rejected', detail: 'it is no ISF' }, 'symbols_rejected', /it is no ISF/],
  [
    'an architecture that Volatility does not know',
    { kind: 'unsupported', architecture: 'riscv64' },
    'architecture_unsupported',
    /riscv64/,
  ],
])('with %s the analysis says so, and the evidence stays complete', async (_what, symbols, reason, detail) => {
  await using r = rig({ symbols });
  r.sealed('c-1');
  r.queue.wake();
  const { analysis, outcome } = await r.done('c-1');
  expect(outcome).toEqual({ kind: 'complete' });
  expect(analysis).toMatchObject({ kind: 'failed', reason, detail: expect.stringMatching(detail) });
  expect(r.jobs).toEqual([]);
});

test('an analysis that breaks down is that capture’s failure; its cause is told to the log, and the next one runs', async () => {
  const cause = new Error('the disk is gone');
  await using r = rig({
    analyze: async ({ captureId }) => {
      if (captureId === 'c-1') throw cause;
      return report;
    },
  });
  r.sealed('c-1');
  r.sealed('c-2');
  r.queue.wake();
  expect((await r.done('c-2')).analysis).toEqual({ kind: 'done' });
  expect((await r.done('c-1')).analysis).toMatchObject({ kind: 'failed', reason: 'internal' });
  expect(r.failures).toEqual([cause]);
});

test('an analysis that the end of the collector stopped begins anew with the next one', async () => {
  let first = true;
  await using r = rig({
    analyze: async (_job, signal) => {
      if (!first) return report;
      first = false;
      return await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  });
  r.sealed('c-1');
  r.queue.wake();
  await until(() => r.jobs.length === 1);
  await r.queue.close();
  expect(r.journal.get('c-1').state.phase).toBe('analyzing');
  const next = r.open();
  next.wake();
  expect((await r.done('c-1')).analysis).toEqual({ kind: 'done' });
  await next.close();
});
