import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeScratch } from '../../testing/files.ts';
import { Crc32c } from '../crc32c.ts';
import type { EvidenceStore, FileToKeep, ObjectName } from '../store.ts';

/** A store that is empty at first. */
export interface StoreUnderTest extends AsyncDisposable {
  /** Another instance on the same place, as after a crash. */
  again(): Promise<EvidenceStore>;
  /** What must be in no error. */
  secrets(): readonly string[];
}

const mib = 1 << 20;
const idle = new AbortController().signal;

/** A file with these bytes. */
export function makeFileToKeep(path: string, content: Buffer): FileToKeep {
  writeFileSync(path, content);
  const crc32c = new Crc32c().update(content).digest();
  return {
    path,
    bytes: content.length,
    crc32c,
    metadata: { 'kcorder-capture': 'x-1', 'kcorder-sha256': 'ab'.repeat(32) },
  };
}

/** What every store promises, as tests. */
export function describeStore(title: string, open: () => Promise<StoreUnderTest>): void {
  describe(title, () => {
    const scratch = makeScratch();
    let under: StoreUnderTest;
    let store: EvidenceStore;
    let made = 0;

    beforeAll(async () => {
      under = await open();
      store = await under.again();
    });
    afterAll(async () => {
      await under[Symbol.asyncDispose]();
      scratch[Symbol.dispose]();
    });

    const newName = (file = 'image.lime.zst'): ObjectName => ({ captureId: `cap-${++made}`, file });
    const newFile = (bytes: number): FileToKeep & { content: Buffer } => {
      const content = randomBytes(bytes);
      return { ...makeFileToKeep(join(scratch.dir, `file-${++made}`), content), content };
    };
    const faultOf = async (attempt: Promise<unknown>): Promise<Fault> => {
      const error = await attempt.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(Fault);
      for (const secret of under.secrets()) expect(everythingIn(error)).not.toContain(secret);
      return error as Fault;
    };

    test.each([0, 1, 262_144, 8 * mib - 1, 8 * mib, 8 * mib + 1, 17 * mib + 5])(
      'an object of %i bytes is put, found, read and deleted',
      async (bytes) => {
        const name = newName();
        const file = newFile(bytes);
        expect(await store.find(name)).toBeUndefined();
        const stored = await store.put(name, file, idle);
        expect(stored).toMatchObject({ ...name, bytes, crc32c: file.crc32c });
        expect(stored.location).toContain(`${name.captureId}/${name.file}`);
        expect(await store.find(name)).toEqual(stored);
        expect(readFileSync(file.path).equals(file.content), 'the local file is as it was').toBe(true);
        {
          await using source = await store.open(stored);
          expect(source.sizeBytes).toBe(bytes);
          for (const [from, to] of rangesOf(bytes))
            expect((await source.read(from, to - from)).equals(file.content.subarray(from, to)), `${from}-${to}`).toBe(
              true,
            );
          await expect(source.read(bytes, 1)).rejects.toThrow(RangeError);
        }
        await store.delete(name);
        expect(await store.find(name)).toBeUndefined();
        await store.delete(name);
      },
    );

    test('the same bytes again are no error, for another instance neither', async () => {
      const name = newName();
      const file = newFile(3000);
      const stored = await store.put(name, file, idle);
      expect(await store.put(name, file, idle)).toEqual(stored);
      expect(await (await under.again()).put(name, file, idle)).toEqual(stored);
    });

    test.each([3000, 3001])('other bytes, %i of them, are a conflict, and what is there stays', async (bytes) => {
      const name = newName();
      const file = newFile(3000);
      const stored = await store.put(name, file, idle);
      const fault = await faultOf(store.put(name, newFile(bytes), idle));
      expect(fault.code).toBe('evidence_conflict');
      expect(fault.message).toContain(stored.location);
      expect(await store.find(name)).toEqual(stored);
      await using source = await store.open(stored);
      expect((await source.read(0, 3000)).equals(file.content)).toBe(true);
    });

    test('two puts of one name at the same time: one object, whole', async () => {
      const name = newName();
      const files = [newFile(2 * mib), newFile(2 * mib)];
      const others = await Promise.all([store, await under.again()]);
      const endings = await Promise.allSettled(files.map((file, i) => (others[i] ?? store).put(name, file, idle)));
      const won = endings.findIndex((ending) => ending.status === 'fulfilled');
      expect(endings.filter((ending) => ending.status === 'fulfilled')).toHaveLength(1);
      const lost = endings[1 - won];
      expect((lost as PromiseRejectedResult).reason).toMatchObject({ code: 'evidence_conflict' });
      expect(await store.find(name)).toMatchObject({ crc32c: files[won]?.crc32c });
    });

    test('a file that is not what its sum says never becomes an object', async () => {
      const name = newName();
      const file = newFile(mib);
      const changed = Buffer.from(file.content);
      changed[1000] = (changed[1000] ?? 0) ^ 1;
      writeFileSync(file.path, changed);
      expect((await faultOf(store.put(name, file, idle))).code).toBe('storage_failed');
      expect(await store.find(name)).toBeUndefined();
      writeFileSync(file.path, changed.subarray(0, 500_000));
      expect((await faultOf(store.put(name, file, idle))).code).toBe('storage_failed');
      expect(await store.find(name)).toBeUndefined();
      writeFileSync(file.path, file.content);
      expect(await store.put(name, file, idle)).toMatchObject({ crc32c: file.crc32c });
    });

    test.each([0, 1, 5, 20, 60])('a put that is aborted after %i ms is done by another instance', async (ms) => {
      const name = newName();
      const file = newFile(20 * mib);
      const reason = new Error('enough');
      const controller = new AbortController();
      const timer = setTimeout(() => controller.abort(reason), ms);
      const ending = await store.put(name, file, controller.signal).catch((error: unknown) => error);
      clearTimeout(timer);
      if (ending instanceof Error) expect(ending).toBe(reason);
      const found = await store.find(name);
      if (found !== undefined) expect(found.crc32c).toBe(file.crc32c);
      expect(await (await under.again()).put(name, file, idle)).toMatchObject({ crc32c: file.crc32c });
    });

    test('an object that was deleted and put anew is not the one that was stored before', async () => {
      const name = newName();
      const before = await store.put(name, newFile(5000), idle);
      await store.delete(name);
      expect((await faultOf(store.open(before))).code).toBe('evidence_missing');
      await store.put(name, newFile(4000), idle);
      expect((await faultOf(store.open(before))).code).toBe('evidence_missing');
    });

    test('the list has every object once, and nothing else', async () => {
      const names = Array.from({ length: 5 }, () => newName());
      for (const name of names) await store.put(name, newFile(10), idle);
      await store.put({ ...(names[0] as ObjectName), file: 'manifest.json' }, newFile(20), idle);
      const listed: string[] = [];
      for await (const { captureId, file } of store.list()) listed.push(`${captureId}/${file}`);
      expect(new Set(listed).size).toBe(listed.length);
      for (const { captureId, file } of names) expect(listed).toContain(`${captureId}/${file}`);
      expect(listed).toContain(`${names[0]?.captureId}/manifest.json`);
    });

    test.each([
      ['../../evidence', 'image.lime'],
      ['.', 'image.lime'],
      ['', 'image.lime'],
      ['a/b', 'image.lime'],
      ['cap', '../image.lime'],
      ['cap', '../../evidence'],
      ['cap', ''],
      ['cap', 'a\\b'],
      ['cap', 'a\0b'],
      ['cap', 'a?b#c'],
      ['cap', '.hidden'],
      ['cap', 'image.part'],
      ['cap', 'x'.repeat(300)],
    ])('the name %j/%j is refused', async (captureId, file) => {
      const name = { captureId, file };
      const fault = await faultOf(store.put(name, newFile(10), idle));
      expect(fault.code).toBe('invalid_argument');
      expect((await faultOf(store.find(name))).code).toBe('invalid_argument');
      expect((await faultOf(store.delete(name))).code).toBe('invalid_argument');
      const object = { ...name, location: '/etc/passwd', bytes: 10, crc32c: '00000000', generation: '' };
      expect((await faultOf(store.open(object))).code).toBe('invalid_argument');
    });

    test('a local file that is not there can be put later', async () => {
      const name = newName();
      const file = newFile(100);
      const fault = await faultOf(store.put(name, { ...file, path: `${file.path}-gone` }, idle));
      expect(fault.code).toBe('storage_failed');
      expect(await store.find(name)).toBeUndefined();
      expect(await store.put(name, file, idle)).toMatchObject({ bytes: 100 });
    });

    test('reading can be given up', async () => {
      const name = newName();
      const stored = await store.put(name, newFile(1000), idle);
      await using source = await store.open(stored);
      const reason = new Error('enough');
      await expect(source.read(0, 10, AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    test('a check of the store is well, and leaves nothing behind', async () => {
      const before: ObjectName[] = [];
      for await (const name of store.list()) before.push(name);
      const steps: string[] = [];
      for await (const { step, state, detail } of store.check(idle)) {
        expect(state, `${step}: ${detail}`).not.toBe('failed');
        steps.push(step);
      }
      expect(steps).toEqual(
        expect.arrayContaining(['put', 'other bytes', 'size and CRC-32C', 'read', 'list', 'delete']),
      );
      const after: ObjectName[] = [];
      for await (const name of store.list()) after.push(name);
      expect(after).toHaveLength(before.length);
    });
  });
}

function rangesOf(bytes: number): [number, number][] {
  const edges = [0, 1, 4095, 8 * mib - 1, 8 * mib, 8 * mib + 1, bytes - 1, bytes].filter(
    (edge) => edge >= 0 && edge <= bytes,
  );
  return [[0, bytes], ...edges.map((edge): [number, number] => [edge, Math.min(bytes, edge + 70_000)])];
}

/** All texts that an error could show: its fields and those of its causes, as deep as they go. */
export function everythingIn(error: unknown): string {
  const seen = new Set<unknown>();
  const texts: string[] = [];
  const visit = (value: unknown): void => {
    if (typeof value === 'string') texts.push(value);
    else if (value instanceof URL) texts.push(value.href);
    else if (value instanceof Headers) texts.push(JSON.stringify([...value]));
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    for (const key of Reflect.ownKeys(value)) visit((value as Record<PropertyKey, unknown>)[key]);
  };
  visit(error);
  return texts.join('\n');
}
