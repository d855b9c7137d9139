import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import { packImage } from '../store/frames/pack.ts';
import { type MemorySource, memorySource } from '../store/frames/testing/memory-source.ts';
import type { StoragePlace, StorageRecord } from '../store/storage-record.ts';
import type { EvidenceStore, StoredObject } from '../store/store.ts';
import { makeScratch } from '../testing/files.ts';
import { limeImage } from '../testing/lime-image.ts';
import { Images } from './images.ts';

const plain = limeImage(1, [2_000_000, 500_000]);

/** Images of one capture whose record can be changed, over a store that holds objects in memory. */
async function rig(record: Partial<StorageRecord> = {}) {
  const scratch = makeScratch();
  const directory = new EvidenceDirectory(scratch.dir);
  mkdirSync(directory.pathOf('c-1'), { recursive: true });
  const path = join(directory.pathOf('c-1'), 'image.lime');
  writeFileSync(path, plain);
  const to = join(scratch.dir, 'x.zst');
  await packImage(path, to, new AbortController().signal);
  const objects = new Map<string, MemorySource>([
    ['image.lime.zst', memorySource(readFileSync(to))],
    ['image.lime', memorySource(plain)],
  ]);
  const held: { record: StorageRecord | undefined } = {
    record: {
      captureId: 'c-1',
      nodeName: 'n1',
      schedule: '',
      sealedAt: '2026-01-01T00:00:00.000Z',
      complete: true,
      imageBytes: plain.length,
      place: { kind: 'spool', lastError: '' },
      holds: [],
      damage: '',
      manifestSha256: '',
      ...record,
    },
  };
  const store: Pick<EvidenceStore, 'open'> = {
    open: async ({ file, location }) => {
      const source = objects.get(file);
      if (source === undefined) throw new Fault('evidence_missing', `${location} is gone`);
      return source;
    },
  };
  return {
    ...{ path, objects, held },
    images: new Images(directory, { get: () => held.record }, store as EvidenceStore),
    setPlace: (place: StoragePlace) => {
      held.record = { ...(held.record as StorageRecord), place };
    },
    [Symbol.dispose]: () => scratch[Symbol.dispose](),
  };
}

const stored = (file: string): StoragePlace => {
  const object: StoredObject = {
    ...{ captureId: 'c-1', file, location: `gs://b/captures/c-1/${file}` },
    ...{ bytes: 1, crc32c: '', generation: '7' },
  };
  return { kind: 'store', object };
};

test.each<[string, StoragePlace, boolean]>([
  ['in the spool', { kind: 'spool', lastError: '' }, true],
  ['packed in the store, and still in the spool', stored('image.lime.zst'), true],
  ['packed in the store', stored('image.lime.zst'), false],
  ['plain in the store', stored('image.lime'), false],
])('an image that is %s is read as it was sealed', async (_where, place, spooled) => {
  using r = await rig();
  r.setPlace(place);
  if (!spooled) rmSync(r.path);
  expect(await r.images.plainPath('c-1')).toBe(spooled ? r.path : undefined);
  {
    await using source = await r.images.open('c-1');
    expect(source.sizeBytes).toBe(plain.length);
    expect((await source.read(1_048_000, 5000)).equals(plain.subarray(1_048_000, 1_053_000))).toBe(true);
    expect((await source.read(0, plain.length)).equals(plain)).toBe(true);
    expect(r.images.inUse('c-1')).toBe(true);
  }
  expect(r.images.inUse('c-1')).toBe(false);
  for (const object of r.objects.values()) expect(object.disposed).toBe(object.reads.length > 0 ? 1 : 0);
});

test.each<[string, StoragePlace, string, RegExp]>([
  [
    'deleted',
    { kind: 'deleted', at: '2026-01-02', by: 'operator/bob', reason: 'a clean-up', left: '' },
    'evidence_deleted',
    /deleted by operator\/bob at 2026-01-02 \(a clean-up\)/,
  ],
  ['gone from the spool', { kind: 'spool', lastError: '' }, 'evidence_missing', /evidence\/c-1\/image\.lime/],
  ['gone from the store', stored('other.lime.zst'), 'evidence_missing', /gs:\/\/b\/captures\/c-1\/other\.lime\.zst/],
])('an image that is %s says so, and is not in use', async (_what, place, code, message) => {
  using r = await rig();
  rmSync(r.path);
  r.setPlace(place);
  await expect(r.images.open('c-1')).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  expect(r.images.inUse('c-1')).toBe(false);
});

test('deleted evidence is not read even while its file is still there', async () => {
  using r = await rig();
  r.setPlace({ kind: 'deleted', at: 'x', by: 'y', reason: 'z', left: 'being removed' });
  await expect(r.images.open('c-1')).rejects.toMatchObject({ code: 'evidence_deleted' });
  await expect(r.images.plainPath('c-1')).rejects.toMatchObject({ code: 'evidence_deleted' });
});

test('a capture that never had an image has none', async () => {
  using r = await rig();
  r.held.record = undefined;
  await expect(r.images.open('c-1')).rejects.toMatchObject({ code: 'evidence_missing' });
});

test('an image that is not complete is looked for under its own name', async () => {
  using r = await rig({ complete: false });
  await expect(r.images.open('c-1')).rejects.toMatchObject({ message: expect.stringContaining('image.PARTIAL.lime') });
});

test('a packed image of another size than was sealed is damaged, and closed again', async () => {
  using r = await rig({ imageBytes: 5 });
  rmSync(r.path);
  r.setPlace(stored('image.lime.zst'));
  await expect(r.images.open('c-1')).rejects.toMatchObject({ code: 'evidence_damaged' });
  expect(r.objects.get('image.lime.zst')?.disposed).toBe(1);
  expect(r.images.inUse('c-1')).toBe(false);
});

test('what is in use is not removed, and whoever comes while it is being removed waits and finds the rest', async () => {
  using r = await rig();
  const lease = await r.images.lease('c-1');
  await using source = await r.images.open('c-1');
  expect(await r.images.tryRemove('c-1', async () => expect.fail('removed'))).toBe(false);
  lease[Symbol.dispose]();
  lease[Symbol.dispose]();
  expect(await r.images.tryRemove('c-1', async () => expect.fail('removed'))).toBe(false);
  await source[Symbol.asyncDispose]();
  const removing = Promise.withResolvers<void>();
  const removed = r.images.tryRemove('c-1', () => removing.promise);
  const opened = r.images.open('c-1');
  expect(await r.images.tryRemove('c-1', async () => expect.fail('removed twice'))).toBe(false);
  rmSync(r.path);
  r.setPlace(stored('image.lime.zst'));
  removing.resolve();
  expect(await removed).toBe(true);
  await using rest = await opened;
  expect((await rest.read(0, 100)).equals(plain.subarray(0, 100))).toBe(true);
});

test('a removal that fails is its caller’s, and holds nobody up', async () => {
  using r = await rig();
  const refused = r.images.tryRemove('c-1', async () => {
    throw new Error('the disk is read-only');
  });
  await expect(refused).rejects.toThrow('read-only');
  await using source = await r.images.open('c-1');
  expect((await source.read(0, 4)).length).toBe(4);
});
