import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, zstdCompressSync } from 'node:zlib';
import { Fault } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { writeTable } from '../store/frames/seek-table.ts';
import { LocalStore } from '../store/local-store.ts';
import { ScriptedStore } from '../store/testing/scripted-store.ts';
import { until } from '../testing/files.ts';
import { Images } from './images.ts';
import { expectKept, isKept, keepUntil } from './testing/archiving.ts';
import { CustodyScene } from './testing/custody-scene.ts';

test('images are packed and stored, manifest first, and only then the plain ones go', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  for (const id of ['c-1', 'c-2']) await scene.seal(id);
  await keepUntil(scene, store, () => isKept(scene, 'c-1')() && isKept(scene, 'c-2')());
  for (const id of ['c-1', 'c-2']) expectKept(scene, store, id);
  expect(store.calls.slice(0, 2)).toEqual(['put manifest.json', 'put image.lime.zst']);
});

test('without room to pack, a local store keeps the plain image in its place', async () => {
  using scene = new CustodyScene();
  const store = new LocalStore(join(scene.dir, 'evidence'));
  await scene.seal('c-1');
  const archiver = scene.archiver(store, { reservedBytes: () => Number.MAX_SAFE_INTEGER });
  archiver.start();
  await until(isKept(scene, 'c-1'));
  await archiver.close();
  expect(scene.plain('c-1')?.equals(scene.images.get('c-1') as Buffer)).toBe(true);
  expect(scene.files('c-1')).toEqual(['image.lime', 'manifest.json']);
});

const fails = [
  { code: 'storage_failed', says: 'the connection broke' },
  { code: 'store_refused', says: 'there is no bucket: make it' },
  { code: 'internal', says: 'a foreign error' },
] as const;

test.each(
  fails.flatMap((fail) =>
    (['put', 'find'] as const).flatMap((call) =>
      (['before', 'after'] as const).map((when) => ({ ...fail, call, when })),
    ),
  ),
)(
  'a store whose $call fails $when it is done ($code) gets it later; until then the plain image stays, and why is on record',
  async ({ code, says, call, when }) => {
    using scene = new CustodyScene();
    const store = new ScriptedStore();
    await scene.seal('c-1');
    let failures = 0;
    store.meddle = (called, at, { file }) => {
      if (called !== call || at !== when || (call === 'put' && file === 'manifest.json') || failures === 4) return;
      expect(scene.plain('c-1')?.equals(scene.images.get('c-1') as Buffer)).toBe(true);
      failures += 1;
      throw code === 'internal' ? new Error(says) : new Fault(code, says);
    };
    await keepUntil(scene, store, isKept(scene, 'c-1'));
    expectKept(scene, store, 'c-1');
    expect(scene.told.filter((told) => told.startsWith('failed'))).toHaveLength(4);
    // A packed image is kept for the next try.
    expect(store.calls.filter((each) => each === 'put image.lime.zst').length).toBe(call === 'put' ? 5 : 1);
  },
);

test('one image that cannot be stored does not hold up the others', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  for (const id of ['c-1', 'c-2', 'c-3']) await scene.seal(id);
  store.objects.set('c-1/image.lime.zst', { bytes: Buffer.from('something else'), metadata: {} });
  await keepUntil(scene, store, () => isKept(scene, 'c-2')() && isKept(scene, 'c-3')());
  expect(scene.storage.get('c-1')?.place).toEqual({
    kind: 'spool',
    lastError: expect.stringContaining('is there with other bytes'),
  });
  expect(scene.plain('c-1')?.equals(scene.images.get('c-1') as Buffer)).toBe(true);
});

test('what is there under its name and unpacks to the same image is taken: another zstd may have packed it', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await scene.seal('c-1');
  const image = scene.images.get('c-1') as Buffer;
  const { ZSTD_c_compressionLevel: level, ZSTD_c_checksumFlag: checksum } = constants;
  const frame = zstdCompressSync(image, { params: { [level]: 19, [checksum]: 1 } });
  const bytes = Buffer.concat([frame, writeTable([frame.length], image.length)]);
  store.objects.set('c-1/image.lime.zst', { bytes, metadata: {} });
  await keepUntil(scene, store, isKept(scene, 'c-1'));
  expect(store.calls).toContain('open image.lime.zst');
  expect(store.objects.get('c-1/image.lime.zst')?.bytes).toBe(bytes);
  expect(scene.storage.get('c-1')?.place).toMatchObject({ object: { bytes: bytes.length } });
  expect(scene.files('c-1')).toEqual(['manifest.json']);
});

test.each([
  {
    sentence: 'a byte of the image changed',
    damage: (path: string) => {
      const bytes = readFileSync(path);
      bytes[60_000] = (bytes[60_000] as number) ^ 1;
      chmodSync(path, 0o600);
      writeFileSync(path, bytes);
    },
    file: 'image.lime',
  },
  {
    sentence: 'the image was cut off',
    damage: (path: string) => {
      chmodSync(path, 0o600);
      writeFileSync(path, readFileSync(path).subarray(0, 40_000));
    },
    file: 'image.lime',
  },
  {
    sentence: 'the manifest was altered',
    damage: (path: string) => {
      chmodSync(path, 0o600);
      writeFileSync(path, readFileSync(path, 'utf8').replace(/(?<="prefixSha256":\[)"[0-9a-f]+"/, '"00"'));
    },
    file: 'manifest.json',
  },
])(
  'when $sentence in the spool nothing is stored or removed, and it is told as damage, once',
  async ({ damage, file }) => {
    using scene = new CustodyScene();
    const store = new ScriptedStore();
    await scene.seal('c-1');
    damage(`${scene.directory.pathOf('c-1')}/${file}`);
    const before = scene.files('c-1');
    await keepUntil(scene, store, () => scene.told.filter((told) => told.startsWith('failed c-1')).length >= 3);
    expect(scene.told.filter((told) => told.startsWith('damaged c-1'))).toHaveLength(1);
    expect(scene.actions('c-1').filter((action) => action === 'flaw_found')).toHaveLength(1);
    expect(scene.storage.get('c-1')).toMatchObject({
      place: { kind: 'spool' },
      damage: expect.stringContaining('c-1'),
    });
    expect(store.objects.has('c-1/image.lime.zst')).toBe(false);
    expect(scene.files('c-1')).toEqual(before);
  },
);

test('without room to pack, the plain image is stored as it is', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await scene.seal('c-1');
  const archiver = scene.archiver(store, { reservedBytes: () => Number.MAX_SAFE_INTEGER });
  archiver.start();
  await until(isKept(scene, 'c-1'));
  await archiver.close();
  expect(store.objects.get('c-1/image.lime')?.bytes.equals(scene.images.get('c-1') as Buffer)).toBe(true);
  expect(scene.files('c-1')).toEqual(['manifest.json']);
});

test('an image that somebody reads stays until it is not read any more', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await scene.seal('c-1');
  const images = new Images(scene.directory, scene.storage, store);
  const reading = await images.open('c-1');
  const archiver = scene.archiver(store, { images });
  archiver.start();
  await until(() => scene.storage.get('c-1')?.place.kind === 'store');
  await sleep(60);
  expect(scene.plain('c-1')).toBeDefined();
  await reading[Symbol.asyncDispose]();
  await until(() => {
    archiver.wake();
    return isKept(scene, 'c-1')();
  });
  await archiver.close();
  expectKept(scene, store, 'c-1');
});

test('an object that the store has lost again keeps the plain image where it is', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await scene.seal('c-1');
  store.meddle = (call, when) => {
    if (call === 'find' && when === 'before') store.objects.delete('c-1/image.lime.zst');
  };
  await keepUntil(scene, store, () => scene.told.some((told) => told.startsWith('damaged')));
  expect(scene.plain('c-1')?.equals(scene.images.get('c-1') as Buffer)).toBe(true);
  expect(scene.storage.get('c-1')?.damage).toContain('has lost');
});

test('what waits for its analysis is kept at once only without a time in the spool, and what is being analysed never', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await scene.seal('c-1', [5000], false);
  await scene.seal('c-2', [5000], false, 'n2');
  scene.journal.apply('c-2', { kind: 'analysis_started', at: new Date().toISOString() }, 'collector');
  const patient = scene.archiver(store, { spoolMs: 60_000 });
  patient.start();
  await sleep(50);
  await patient.close();
  expect(store.calls).toEqual([]);
  await keepUntil(scene, store, isKept(scene, 'c-1'));
  expect(scene.storage.get('c-2')?.place.kind).toBe('spool');
});

test.each([
  { sentence: 'a store that does not answer', hang: 'put' },
  { sentence: 'a store that does not answer what it has', hang: 'find' },
] as const)('closing does not wait for $sentence', async ({ hang }) => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await scene.seal('c-1');
  const reached = Promise.withResolvers<void>();
  store.meddle = async (call, when) => {
    if (call !== hang || when !== 'before') return;
    reached.resolve();
    await new Promise(() => undefined);
  };
  const archiver = scene.archiver(store);
  archiver.start();
  await reached.promise;
  await archiver.close();
  expect(scene.plain('c-1')).toBeDefined();
});

test('letting go of a capture ends what is done with it, and no draft of it is left in use', async () => {
  using scene = new CustodyScene();
  const store = new ScriptedStore();
  await scene.seal('c-1');
  const archiver = scene.archiver(store);
  const letGo = Promise.withResolvers<void>();
  store.meddle = async (call, when, { file }) => {
    if (call !== 'put' || when !== 'before' || file === 'manifest.json') return;
    scene.storage.beginDeletion('c-1', 'operator/alice', 'space');
    void archiver.letGo('c-1').then(letGo.resolve);
    await sleep(20);
  };
  archiver.start();
  await letGo.promise;
  await archiver.close();
  expect(scene.actions('c-1')).not.toContain('stored');
  expect(existsSync(scene.directory.imagePath('c-1', { bytes: 0, sha256: '', file: 'image.lime' }))).toBe(true);
});
