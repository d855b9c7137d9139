import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { packImage } from '../store/frames/pack.ts';
import type { SymbolsEnd } from '../symbols/symbols.ts';
import { until } from '../testing/files.ts';
import { events, partial } from '../testing/states.ts';
import { writeReport } from './report-file.ts';
import { report, rig } from './testing/queue-rig.ts';

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

test('a journal that does not take the end of an analysis is told to the log, and the capture is taken up again by itself', async () => {
  await using r = rig();
  const cause = new Error('the disk is full');
  const apply = r.journal.apply.bind(r.journal);
  let isFull = true;
  vi.spyOn(r.journal, 'apply').mockImplementation((captureId, event, actor) => {
    if (isFull && event.kind === 'analysis_ended') throw cause;
    return apply(captureId, event, actor);
  });
  r.sealed('c-1');
  r.queue.wake();
  await until(() => r.failures.length >= 2);
  isFull = false;
  expect((await r.done('c-1')).analysis).toEqual({ kind: 'done' });
  // Of the capture, and of the queue.
  expect(r.failures.slice(0, 2)).toEqual([cause, cause]);
});

test('a capture whose row is damaged is told of once, and holds no other up', async () => {
  await using r = rig();
  r.sealed('c-1');
  r.sealed('c-2');
  const get = r.journal.get.bind(r.journal);
  const damage = new Error('no JSON');
  vi.spyOn(r.journal, 'get').mockImplementation((captureId) => {
    if (captureId === 'c-1') throw damage;
    return get(captureId);
  });
  r.queue.wake();
  expect((await r.done('c-2')).analysis).toEqual({ kind: 'done' });
  r.sealed('c-3');
  r.queue.wake();
  expect((await r.done('c-3')).analysis).toEqual({ kind: 'done' });
  expect(r.failures).toEqual([damage]);
});

test('an analysis that the end of the collector stopped begins anew with the next one', async () => {
  let first = true;
  await using r = rig({
    analyze: async (_job, signal) => {
      if (!first) return report;
      first = false;
      // The end may have come before the analysis did.
      signal.throwIfAborted();
      return await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  });
  r.sealed('c-1');
  r.queue.wake();
  await until(() => r.jobs.length === 1);
  await r.queue.close();
  expect(r.journal.get('c-1').state.phase).toBe('analyzing');
  const next = r.open();
  next.queue.wake();
  expect((await r.done('c-1')).analysis).toEqual({ kind: 'done' });
  await next.queue.close();
});

test('a capture whose analysis nobody asked for is done without one', async () => {
  await using r = rig();
  r.sealed('c-1', events.sealed.outcome, { analyze: false });
  r.queue.wake();
  expect((await r.done('c-1')).analysis).toMatchObject({
    kind: 'skipped',
    reason: 'not_asked',
    detail: expect.stringContaining('kcorder analyze c-1'),
  });
  expect(r.jobs).toEqual([]);
});

test('an image that is no plain file any more is read by ranges, and in use meanwhile', async () => {
  const read: string[] = [];
  await using r = rig({
    analyze: async ({ captureId, image }) => {
      expect(await r.images.tryRemove(captureId, async () => expect.fail('removed'))).toBe(false);
      if (image.kind !== 'ranges') expect.fail('it is read as a file');
      read.push((await image.source.read(0, image.source.sizeBytes)).toString());
      return report;
    },
  });
  r.sealed('c-1');
  await pack(r, 'c-1');
  r.queue.wake();
  expect((await r.done('c-1')).analysis).toEqual({ kind: 'done' });
  expect(read).toEqual([Buffer.alloc(100, 'c-1').toString()]);
  expect(r.images.inUse('c-1')).toBe(false);
});

test('a plain image is in use while it is analysed', async () => {
  await using r = rig({
    analyze: async ({ captureId }) => {
      expect(r.images.inUse(captureId)).toBe(true);
      return report;
    },
  });
  r.sealed('c-1');
  r.queue.wake();
  await r.done('c-1');
  await until(() => !r.images.inUse('c-1'));
});

test('an image that is gone is the analysis’ own failure, by its name and with its place', async () => {
  await using r = rig();
  r.sealed('c-1');
  rmSync(r.imagePath('c-1'));
  r.queue.wake();
  expect((await r.done('c-1')).analysis).toMatchObject({
    kind: 'failed',
    reason: 'evidence_missing',
    detail: expect.stringContaining(r.imagePath('c-1')),
  });
  expect(r.failures).toEqual([]);
});

test('an ended capture is analysed again after those that were sealed; its own state stays as it was', async () => {
  await using r = rig();
  r.sealed('c-1');
  r.queue.wake();
  await r.done('c-1');
  const before = r.journal.get('c-1');
  r.sealed('c-2');
  r.again.ask('c-1', 'operator/alice');
  expect(r.again.get('c-1')).toEqual({ kind: 'waiting' });
  r.queue.wake();
  await until(() => r.endedAgain.length > 0);
  expect(r.endedAgain).toEqual([['c-1', { kind: 'done' }]]);
  expect(r.jobs.map(({ captureId }) => captureId)).toEqual(['c-1', 'c-2', 'c-1']);
  expect(r.again.get('c-1')).toEqual({ kind: 'ended', ending: { kind: 'done' } });
  expect(r.journal.get('c-1')).toEqual(before);
});

test('an analysis again that the end of the collector stopped begins anew with the next one', async () => {
  let hang = false;
  await using r = rig({
    analyze: async (_job, signal) => {
      if (!hang) return report;
      // The end may have come before the analysis did.
      signal.throwIfAborted();
      return await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  });
  r.sealed('c-1');
  r.queue.wake();
  await r.done('c-1');
  hang = true;
  r.again.ask('c-1', 'operator/alice');
  r.queue.wake();
  await until(() => r.again.get('c-1')?.kind === 'running');
  await r.queue.close();
  hang = false;
  const next = r.open();
  expect(next.again.get('c-1')).toEqual({ kind: 'waiting' });
  next.queue.wake();
  await until(() => next.again.get('c-1')?.kind === 'ended');
  await next.queue.close();
});

test('an addition that fails says whether the results are there that it was for', async () => {
  const plugin = { name: 'processes', reason: '', rowCount: 0, seconds: 1, warnings: [], columns: [] };
  await using r = rig({ analyze: async ({ adds }) => (adds ? { ...report, state: 'failed', reason: 'x' } : report) });
  r.sealed('c-1');
  r.queue.wake();
  await r.done('c-1');
  const dir = join(r.dir, 'evidence/c-1/analysis');
  mkdirSync(dir, { recursive: true });
  const spec = { plugins: [{ name: 'linux.bash.Bash' }] };
  for (const state of ['failed', 'empty'] as const) {
    await writeReport(dir, { ...report, plugins: [{ ...plugin, state }] });
    r.again.ask('c-1', 'operator/alice', spec);
    r.queue.wake();
    await until(() => r.again.get('c-1')?.kind === 'ended');
  }
  const failed = { kind: 'failed', reason: 'x', detail: '' };
  expect(r.endedAgain).toEqual([
    ['c-1', failed],
    ['c-1', { ...failed, kept: true }],
  ]);
});

/** Brings an image to its place at rest, as the keeper does. */
async function pack(r: ReturnType<typeof rig>, id: string): Promise<void> {
  const path = r.imagePath(id);
  const { bytes, crc32c } = await packImage(path, `${path}.zst`, new AbortController().signal);
  const object = { captureId: id, file: 'image.lime.zst', location: `${path}.zst`, bytes, crc32c, generation: '' };
  r.storage.noteStored(id, object, '');
  rmSync(path);
}
