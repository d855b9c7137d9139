import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { Crc32c } from './crc32c.ts';
import type { CheckedStep, EvidenceStore, FileToKeep, ObjectName } from './store.ts';

const bytes = 1 << 20;

/** The object that a check makes for itself. */
export interface Rehearsal {
  readonly name: ObjectName;
  readonly file: FileToKeep;
}

/** A step of a check: what the attempt tells is its detail, and what it throws says what is wrong. */
export async function checkStep(step: string, attempt: () => Promise<string>): Promise<CheckedStep> {
  try {
    return { step, state: 'ok', detail: await attempt() };
  } catch (error) {
    return { step, state: 'failed', detail: Fault.from(error).message };
  }
}

/**
 * Goes through an object's life in a store that holds nothing else: put, refuse others, read, list, delete. `look` are further steps
 * while the object is there. Leaves nothing behind unless the store keeps it.
 */
export async function* checkContents(
  store: EvidenceStore,
  scratchDir: string,
  signal: AbortSignal,
  look: (rehearsal: Rehearsal) => AsyncIterable<CheckedStep>,
): AsyncIterable<CheckedStep> {
  const scratch = await mkdtemp(join(scratchDir, 'store-check-')).catch((error: Error) => error);
  if (scratch instanceof Error) {
    const detail = `no file can be made in ${scratchDir} (${scratch.message}): look at the disk`;
    yield { step: 'put', state: 'failed', detail };
    return;
  }
  try {
    const name = { captureId: randomUUID(), file: 'image.lime' };
    const mine = await makeFile(join(scratch, 'mine'));
    const other = await makeFile(join(scratch, 'other'));
    const put = await checkStep('put', async () => {
      const { location } = await store.put(name, mine.file, signal);
      return `${location} is there with ${bytes} bytes`;
    });
    yield put;
    if (put.state === 'ok')
      yield* checkObject(store, { name, file: mine.file }, { content: mine.content, other: other.file }, signal, look);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function* checkObject(
  store: EvidenceStore,
  rehearsal: Rehearsal,
  { content, other }: { readonly content: Buffer; readonly other: FileToKeep },
  signal: AbortSignal,
  look: (rehearsal: Rehearsal) => AsyncIterable<CheckedStep>,
): AsyncIterable<CheckedStep> {
  const { name, file } = rehearsal;
  yield await checkStep('put again', async () => {
    await store.put(name, file, signal);
    return 'the same bytes are no error';
  });
  yield await checkStep('other bytes', async () => {
    const ending = await store.put(name, other, signal).catch((error: unknown) => error);
    if (ending instanceof Fault && ending.code === 'evidence_conflict') return 'are refused';
    throw ending instanceof Error ? ending : new Fault('store_refused', 'the store replaces objects: do not use it');
  });
  yield await checkStep('size and CRC-32C', async () => {
    const found = await store.find(name);
    if (found?.bytes === file.bytes && found.crc32c === file.crc32c) return `${found.bytes} bytes, ${found.crc32c}`;
    throw new Fault('store_refused', `the store tells ${found?.bytes} bytes, ${found?.crc32c}: do not use it`);
  });
  yield* look(rehearsal);
  yield await checkStep('read', async () => {
    const found = await store.find(name);
    if (found === undefined) throw new Fault('evidence_missing', `${store.place} lost the object: do not use it`);
    await using source = await store.open(found);
    const range = await source.read(4099, 70_001, signal);
    if (range.equals(content.subarray(4099, 74_100))) return 'a range has the bytes that were put';
    throw new Fault('evidence_damaged', `${found.location} gives other bytes than were put: do not use it`);
  });
  yield await checkStep('list', async () => {
    for await (const each of store.list()) if (each.captureId === name.captureId) return 'the object is listed';
    throw new Fault('store_refused', `${store.place} does not list the object: do not use it`);
  });
  yield await checkStep('delete', async () => {
    const ending = await store.delete(name).catch((error: unknown) => error);
    if (ending instanceof Fault && ending.code === 'evidence_retained')
      return `not now: ${ending.message}; retention in kcorder can only be longer than that`;
    if (ending !== undefined) throw ending;
    if ((await store.find(name)) === undefined) return 'the object is gone';
    throw new Fault('store_refused', `${store.place} still shows the object: delete it by hand`);
  });
}

async function makeFile(path: string): Promise<{ file: FileToKeep; content: Buffer }> {
  const content = randomBytes(bytes);
  await writeFile(path, content);
  const metadata = { 'kcorder-check': 'yes' };
  return { content, file: { path, bytes, crc32c: new Crc32c().update(content).digest(), metadata } };
}
