import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { LocalStore } from '../store/local-store.ts';
import type { EvidenceStore } from '../store/store.ts';
import { ScriptedStore } from '../store/testing/scripted-store.ts';
import { until } from '../testing/files.ts';
import type { Archiver } from './archiver.ts';
import { Deletions } from './deletion.ts';
import { CustodyScene } from './testing/custody-scene.ts';

const signal = new AbortController().signal;

function deletions(scene: CustodyScene, store: EvidenceStore, archiver?: Archiver): Deletions {
  return new Deletions({
    record: scene.storage,
    queue: scene.queue,
    store,
    directory: scene.directory,
    letGo: async (id) => await archiver?.letGo(id),
    events: {
      deleted: (id, actor) => scene.told.push(`deleted ${id} ${actor}`),
      deletionFailed: (id, error) => scene.told.push(`failed ${id}: ${String(error)}`),
    },
  });
}

/** A capture whose image is at rest, with results beside it. */
async function kept(scene: CustodyScene, store: EvidenceStore, id = 'c-1'): Promise<void> {
  await scene.seal(id);
  const archiver = scene.archiver(store);
  archiver.start();
  await until(() => scene.storage.get(id)?.place.kind === 'store' && scene.queue.toTidy().length === 0);
  await archiver.close();
  results(scene, id);
}

function results(scene: CustodyScene, id: string): void {
  mkdirSync(join(scene.directory.pathOf(id), 'analysis'));
  writeFileSync(join(scene.directory.pathOf(id), 'analysis', 'report.json'), '{}');
}

function expectDeleted(scene: CustodyScene, store: ScriptedStore, id = 'c-1'): void {
  expect([...store.objects.keys()]).toEqual([]);
  expect(existsSync(scene.directory.pathOf(id))).toBe(false);
  expect(scene.storage.get(id)?.place).toEqual({
    kind: 'deleted',
    by: 'operator/alice',
    reason: 'not needed',
    at: expect.any(String),
    left: '',
  });
  expect(scene.actions(id).slice(-2)).toEqual(['deletion_begun', 'deleted']);
  expect(scene.journal.audit.firstBroken()).toBeUndefined();
}

test('image, manifest and results go; a tombstone and the records stay; again is no error', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await kept(scene, store);
  const made = deletions(scene, store);
  await made.delete('c-1', 'operator/alice', 'not needed');
  expectDeleted(scene, store);
  await made.delete('c-1', 'operator/bob', 'me too');
  expectDeleted(scene, store);
  expect(scene.told.filter((told) => told.startsWith('deleted'))).toEqual(['deleted c-1 operator/alice']);
});

test.each(['gcs', 'local'] as const)(
  'what is in the spool goes too, and what was put into the store and not noted: %s',
  async (kind) => {
    using scene = new CustodyScene();
    const remote = new ScriptedStore();
    const store = kind === 'gcs' ? remote : new LocalStore(join(scene.dir, 'evidence'));
    await scene.seal('c-1');
    results(scene, 'c-1');
    remote.objects.set('c-1/manifest.json', { bytes: Buffer.from('x'), metadata: {} });
    remote.objects.set('c-1/image.lime.zst', { bytes: Buffer.from('x'), metadata: {} });
    if (kind === 'local') remote.objects.clear();
    await deletions(scene, store).delete('c-1', 'operator/alice', 'not needed');
    expectDeleted(scene, remote);
  },
);

test('what is packed and stored locally goes', async () => {
  using scene = new CustodyScene();
  const store = new LocalStore(join(scene.dir, 'evidence'));
  await kept(scene, store);
  await deletions(scene, store).delete('c-1', 'operator/alice', 'not needed');
  expectDeleted(scene, new ScriptedStore());
});

test('two deletions at once are one', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await kept(scene, store);
  const made = deletions(scene, store);
  await Promise.all(['not needed', 'space', 'age'].map((reason) => made.delete('c-1', 'operator/alice', reason)));
  expectDeleted(scene, store);
  expect(store.calls.filter((call) => call === 'delete image.lime.zst')).toHaveLength(1);
});

test('a crash at any of its steps ends in deleted, when the next collector goes on', async () => {
  const cutAt: string[] = [];
  for (let at = 1; ; at += 1) {
    using scene = new CustodyScene();
    const store = new ScriptedStore();
    await kept(scene, store);
    let steps = 0;
    store.meddle = (call, when, { file }) => {
      steps += 1;
      if (steps < at) return;
      cutAt.push(`${when} ${call} ${file}`);
      // Nothing that this process does from here on has an effect.
      throw new Error('killed');
    };
    await deletions(scene, store)
      .delete('c-1', 'operator/alice', 'not needed')
      .catch(() => undefined);
    if (steps < at) break;
    store.meddle = () => undefined;
    expect(scene.storage.get('c-1')?.place.kind).toBe('deleted');
    await deletions(scene, store).goOn(signal);
    expectDeleted(scene, store);
  }
  expect(cutAt).toContain('after delete manifest.json');
  expect(cutAt.length).toBe(6);
});

test.each(['storage_failed', 'store_refused'] as const)(
  'a store that fails (%s) does not undo it: it goes on by itself',
  async (code) => {
    using scene = new CustodyScene();
    const store = new ScriptedStore();
    await kept(scene, store);
    const made = deletions(scene, store);
    store.meddle = () => {
      throw new Fault(code, 'the bucket may not be written');
    };
    await expect(made.delete('c-1', 'operator/alice', 'not needed')).rejects.toMatchObject({
      code,
      message:
        'the deletion of the evidence of capture c-1 is on record and goes on by itself: the bucket may not be written',
    });
    expect(scene.storage.get('c-1')?.place).toMatchObject({ kind: 'deleted', left: 'the bucket may not be written' });
    await made.goOn(signal);
    expect(scene.storage.get('c-1')?.place).toMatchObject({ left: 'the bucket may not be written' });
    store.meddle = () => undefined;
    await made.goOn(signal);
    expectDeleted(scene, store);
  },
);

test.each([
  { sentence: 'in the store', stored: true },
  { sentence: 'in the spool', stored: false },
])('what the store keeps by a retention of its own stays whole, and says until when: $sentence', async ({ stored }) => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  if (stored) await kept(scene, store);
  else await scene.seal('c-1');
  const before = [scene.storage.get('c-1'), scene.files('c-1'), [...store.objects.keys()]];
  store.meddle = (call) => {
    if (call === 'delete') throw new Fault('evidence_retained', 'it is retained until 2027-01-01T00:00:00Z');
  };
  await expect(deletions(scene, store).delete('c-1', 'operator/alice', 'not needed')).rejects.toMatchObject({
    code: 'evidence_retained',
    message: expect.stringContaining('2027'),
  });
  expect([scene.storage.get('c-1'), scene.files('c-1'), [...store.objects.keys()]]).toEqual(before);
  expect(scene.actions('c-1').slice(-2)).toEqual(['deletion_begun', 'deletion_withdrawn']);
});

test('once the image is gone, a manifest that the store keeps is waited for', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await kept(scene, store);
  const made = deletions(scene, store);
  store.meddle = (_call, _when, { file }) => {
    if (file === 'manifest.json') throw new Fault('evidence_retained', 'it is retained until 2027-01-01T00:00:00Z');
  };
  await expect(made.delete('c-1', 'operator/alice', 'not needed')).rejects.toMatchObject({ code: 'evidence_retained' });
  expect(scene.storage.get('c-1')?.place).toMatchObject({ kind: 'deleted', left: expect.stringContaining('2027') });
  store.meddle = () => undefined;
  await made.goOn(signal);
  expectDeleted(scene, store);
});

test('what the keeper is storing at the moment is deleted all the same, and nothing is left in the store', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await scene.seal('c-1');
  const archiver = scene.archiver(store);
  const made = deletions(scene, store, archiver);
  const deleting = Promise.withResolvers<void>();
  store.meddle = (call, when, { file }) => {
    if (call === 'put' && when === 'after' && file === 'image.lime.zst')
      made.delete('c-1', 'operator/alice', 'not needed').then(deleting.resolve, deleting.reject);
  };
  archiver.start();
  await deleting.promise;
  await archiver.close();
  expectDeleted(scene, store);
});
