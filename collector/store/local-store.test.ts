import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { LocalStore } from './local-store.ts';
import { openStore } from './open.ts';
import { describeStore, makeFileToKeep } from './testing/store-contract.ts';

const idle = new AbortController().signal;
const name = { captureId: 'cap', file: 'image.lime.zst' };

describeStore('local disk', () => {
  const scratch = makeScratch();
  return Promise.resolve({
    again: () => Promise.resolve(new LocalStore(join(scratch.dir, 'evidence'))),
    secrets: () => [],
    [Symbol.asyncDispose]: () => Promise.resolve(scratch[Symbol.dispose]()),
  });
});

test('a draft in the directory of the capture takes no room twice, and both are read-only', async () => {
  using scratch = makeScratch();
  const store = new LocalStore(scratch.dir);
  mkdirSync(join(scratch.dir, 'cap'));
  const file = makeFileToKeep(join(scratch.dir, 'cap', 'image.lime.zst.draft'), Buffer.from('bytes'));
  const stored = await store.put(name, file, idle);
  expect(stored.location).toBe(join(scratch.dir, 'cap', 'image.lime.zst'));
  expect(statSync(stored.location).ino).toBe(statSync(file.path).ino);
  expect(statSync(stored.location).mode & 0o777).toBe(0o400);
  const listed = [];
  for await (const each of store.list()) listed.push(each);
  expect(listed, 'the draft is no object').toEqual([name]);
});

test('a file that lies where its object belongs is the object', async () => {
  using scratch = makeScratch();
  const store = new LocalStore(scratch.dir);
  mkdirSync(join(scratch.dir, 'cap'));
  const file = makeFileToKeep(join(scratch.dir, 'cap', 'image.lime'), Buffer.from('bytes'));
  expect(await store.put({ captureId: 'cap', file: 'image.lime' }, file, idle)).toMatchObject({ bytes: 5 });
  expect(readFileSync(file.path, 'utf8')).toBe('bytes');
});

test('a copy that a crash cut short does not matter', async () => {
  using scratch = makeScratch();
  const store = new LocalStore(join(scratch.dir, 'evidence'));
  mkdirSync(join(scratch.dir, 'evidence', 'cap'), { recursive: true });
  writeFileSync(join(scratch.dir, 'evidence', 'cap', 'image.lime.zst.part'), 'by', { mode: 0o400 });
  const file = makeFileToKeep(join(scratch.dir, 'file'), Buffer.from('bytes'));
  expect(await store.put(name, file, idle)).toMatchObject({ bytes: 5 });
});

test('what cannot be linked is copied', async () => {
  using scratch = makeScratch();
  // A file of another file system.
  const elsewhere = `/dev/shm/kcorder-local-store-${process.pid}`;
  const file = makeFileToKeep(elsewhere, Buffer.from('bytes'));
  try {
    expect(() => linkSync(elsewhere, join(scratch.dir, 'link'))).toThrow('EXDEV');
    const store = new LocalStore(join(scratch.dir, 'evidence'));
    const stored = await store.put(name, file, idle);
    expect(readFileSync(stored.location, 'utf8')).toBe('bytes');
    expect(statSync(stored.location).mode & 0o777).toBe(0o400);
    expect(existsSync(`${stored.location}.part`)).toBe(false);
  } finally {
    rmSync(elsewhere, { force: true });
  }
});

test('deleting an object leaves the other files of its capture, and no empty directory', async () => {
  using scratch = makeScratch();
  const store = new LocalStore(scratch.dir);
  const file = makeFileToKeep(join(scratch.dir, 'file'), Buffer.from('bytes'));
  await store.put(name, file, idle);
  writeFileSync(join(scratch.dir, 'cap', 'other'), '');
  await store.delete(name);
  expect(existsSync(join(scratch.dir, 'cap', 'other'))).toBe(true);
  await store.delete({ ...name, file: 'other' });
  expect(existsSync(join(scratch.dir, 'cap'))).toBe(false);
});

test('a root that is a file is said, with what to do', async () => {
  using scratch = makeScratch();
  writeFileSync(join(scratch.dir, 'evidence'), '');
  const store = await openStore({ kind: 'local', bucket: '', prefix: '', kmsKey: '', endpoint: '' }, scratch.dir);
  const file = makeFileToKeep(join(scratch.dir, 'file'), Buffer.from('bytes'));
  await expect(store.put(name, file, idle)).rejects.toMatchObject({
    code: 'storage_failed',
    message: `${join(scratch.dir, 'evidence/cap/image.lime.zst')} cannot be stored (ENOTDIR): look at the disk; it is tried again later`,
  });
  const steps = [];
  for await (const step of store.check(idle)) steps.push(step);
  expect(steps).toMatchObject([{ step: 'directory', state: 'failed' }]);
});
