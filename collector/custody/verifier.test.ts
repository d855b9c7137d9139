import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { LocalStore } from '../store/local-store.ts';
import type { EvidenceStore } from '../store/store.ts';
import { ScriptedStore } from '../store/testing/scripted-store.ts';
import { until } from '../testing/files.ts';
import { Images } from './images.ts';
import { CustodyScene } from './testing/custody-scene.ts';
import { Verifier } from './verifier.ts';

const signal = new AbortController().signal;
const noPace = (): void => undefined;

function verifier(scene: CustodyScene, store: EvidenceStore, verifyMs = 0): Verifier {
  return new Verifier({
    record: scene.storage,
    queue: scene.queue,
    images: new Images(scene.directory, scene.storage, store),
    directory: scene.directory,
    store,
    verifyMs,
    events: {
      verified: (id) => scene.told.push(`verified ${id}`),
      damaged: (id, damage) => scene.told.push(`damaged ${id}: ${damage}`),
      verificationFailed: (id, error) => scene.told.push(`failed ${id}: ${String(error)}`),
    },
  });
}

/** A capture with an image of three frames, at rest. */
async function kept(scene: CustodyScene, store: EvidenceStore, id = 'c-1'): Promise<void> {
  await scene.seal(id, [2_500_000, 70_000]);
  const archiver = scene.archiver(store);
  archiver.start();
  await until(() => scene.storage.get(id)?.place.kind === 'store' && scene.queue.toTidy().length === 0);
  await archiver.close();
  scene.told.length = 0;
}

const alter = (path: string, change: (bytes: Buffer) => Buffer): void => {
  const changed = change(readFileSync(path));
  chmodSync(path, 0o600);
  writeFileSync(path, changed);
};

const flip =
  (at: number) =>
  (bytes: Buffer): Buffer => {
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] as number) ^ 4;
    return flipped;
  };

test.each(['gcs', 'local'] as const)(
  'what is at rest and whole is verified, and that is on record: %s',
  async (kind) => {
    using scene = new CustodyScene();
    const store = kind === 'gcs' ? new ScriptedStore() : new LocalStore(join(scene.dir, 'evidence'));
    await kept(scene, store);
    const told: number[] = [];
    const verdict = await verifier(scene, store).verify(
      'c-1',
      'operator/alice',
      (done) => void told.push(done),
      signal,
    );
    expect(verdict).toEqual({ kind: 'intact', sha256: scene.storage.sealed('c-1').evidence.sha256 });
    expect(told.at(-1)).toBe(scene.images.get('c-1')?.length);
    expect(scene.storage.get('c-1')).toMatchObject({ verifiedAt: expect.any(String), damage: '' });
    expect(scene.actions('c-1').at(-1)).toBe('verified');
  },
);

test('an image in the spool can be verified before it is stored', async () => {
  using scene = new CustodyScene();
  await scene.seal('c-1');
  const made = verifier(scene, new ScriptedStore());
  expect(await made.verify('c-1', 'operator/alice', noPace, signal)).toMatchObject({ kind: 'intact' });
  alter(join(scene.directory.pathOf('c-1'), 'image.lime'), flip(100));
  expect(await made.verify('c-1', 'operator/alice', noPace, signal)).toMatchObject({ kind: 'damaged', badFrom: 0 });
});

test.each([
  { sentence: 'a bit of its second frame', at: 1_500_000, badFrom: 1 << 20, badTo: 2 << 20 },
  { sentence: 'a bit of its first frame', at: 500_000, badFrom: 0, badTo: 1 << 20 },
])(
  '$sentence that flipped at rest is named by the plain range of the frame, and is on record',
  async ({ at, badFrom, badTo }) => {
    using scene = new CustodyScene();
    const store = new LocalStore(join(scene.dir, 'evidence'));
    await kept(scene, store);
    alter(join(scene.directory.pathOf('c-1'), 'image.lime.zst'), flip(at));
    const verdict = await verifier(scene, store).verify('c-1', 'operator/alice', noPace, signal);
    expect(verdict).toMatchObject({ kind: 'damaged', badFrom, badTo });
    expect(scene.storage.get('c-1')?.damage).not.toBe('');
    expect(scene.storage.get('c-1')).not.toHaveProperty('verifiedAt');
    expect(scene.actions('c-1').at(-1)).toBe('flaw_found');
    expect(scene.told).toEqual([expect.stringMatching(/^damaged c-1: /)]);
  },
);

const image = 'image.lime.zst';
test.each([
  { sentence: 'the image is gone', damage: (dir: string) => rmSync(join(dir, image)) },
  {
    sentence: 'the image was cut off',
    damage: (dir: string) => alter(join(dir, image), (bytes) => bytes.subarray(0, 1_000_000)),
  },
  { sentence: 'the image is empty', damage: (dir: string) => alter(join(dir, image), () => Buffer.alloc(0)) },
  { sentence: 'the manifest is gone', damage: (dir: string) => rmSync(join(dir, 'manifest.json')) },
  {
    sentence: 'one word of the manifest was altered',
    damage: (dir: string) =>
      alter(join(dir, 'manifest.json'), (bytes) => Buffer.from(bytes.toString().replace('a test', 'no test'))),
  },
])('when $sentence, that is damage', async ({ damage }) => {
  using scene = new CustodyScene();
  const store = new LocalStore(join(scene.dir, 'evidence'));
  await kept(scene, store);
  damage(scene.directory.pathOf('c-1'));
  expect(await verifier(scene, store).verify('c-1', 'collector', noPace, signal)).toMatchObject({ kind: 'damaged' });
  expect(scene.storage.get('c-1')?.damage).not.toBe('');
});

test.each([
  { sentence: 'the stored one', file: 'store' },
  { sentence: 'the one that is here', file: 'here' },
])('with a remote store both manifests count: $sentence was altered', async ({ file }) => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await kept(scene, store);
  const change = (bytes: Buffer) => Buffer.from(bytes.toString().replace('a test', 'no test'));
  if (file === 'here') alter(scene.directory.manifestPath('c-1'), change);
  else {
    const object = store.objects.get('c-1/manifest.json');
    store.objects.set('c-1/manifest.json', { bytes: change(object?.bytes as Buffer), metadata: {} });
  }
  expect(await verifier(scene, store).verify('c-1', 'collector', noPace, signal)).toMatchObject({
    kind: 'damaged',
    detail: expect.stringContaining('the manifest was altered after it was stored'),
  });
});

test('a store that does not answer is no damage', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await kept(scene, store);
  store.meddle = () => {
    throw new Fault('storage_failed', 'the connection broke');
  };
  await expect(verifier(scene, store).verify('c-1', 'collector', noPace, signal)).rejects.toMatchObject({
    code: 'storage_failed',
  });
  expect(scene.storage.get('c-1')?.damage).toBe('');
});

test('what is deleted while it is verified is no damage', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await kept(scene, store);
  const pace = (): void => {
    if (scene.storage.get('c-1')?.place.kind === 'deleted') return;
    scene.storage.beginDeletion('c-1', 'operator/bob', 'space');
    store.objects.clear();
  };
  const verifying = verifier(scene, store).verify('c-1', 'operator/alice', pace, signal);
  await expect(verifying).rejects.toMatchObject({ code: 'evidence_deleted' });
  expect(scene.actions('c-1')).not.toContain('flaw_found');
  await expect(verifier(scene, store).verify('c-1', 'operator/alice', noPace, signal)).rejects.toMatchObject({
    code: 'evidence_deleted',
  });
});

test('by itself it verifies what was not looked at for the longest time, a damaged one once, and rests when all were', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  for (const id of ['c-1', 'c-2', 'c-3']) await kept(scene, store, id);
  scene.database.exec(`UPDATE storage SET sealed_at = '2020-01-0' || substr(capture_id, 3)`);
  const damaged = store.objects.get('c-2/image.lime.zst');
  store.objects.set('c-2/image.lime.zst', { bytes: flip(1_500_000)(damaged?.bytes as Buffer), metadata: {} });
  const made = verifier(scene, store, 3_600_000);
  made.start();
  await until(() => scene.told.length >= 3);
  await made.close();
  expect(scene.told).toEqual(['verified c-1', expect.stringMatching(/^damaged c-2: /), 'verified c-3']);
  expect(scene.queue.toVerify(new Date(Date.now() - 3_600_000).toISOString(), new Set())).toBeUndefined();
});

test('with verifyMs 0 nothing is verified by itself, and closing ends one that runs', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await kept(scene, store);
  scene.database.exec(`UPDATE storage SET sealed_at = '2020-01-01'`);
  const off = verifier(scene, store);
  off.start();
  await off.close();
  expect(scene.told).toEqual([]);
  const slow = verifier(scene, store, 1);
  const reached = Promise.withResolvers<void>();
  store.meddle = () => reached.resolve();
  slow.start();
  await reached.promise;
  await slow.close();
  expect(scene.told).toEqual([]);
});
