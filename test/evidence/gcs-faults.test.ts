import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FileToKeep, ObjectName } from '../../collector/store/store.ts';
import { everythingIn, makeFileToKeep } from '../../collector/store/testing/store-contract.ts';
import { makeScratch } from '../../collector/testing/files.ts';
import { type FaultProxy, faults, type GcsFault } from '../../tools/stage/fault-proxy.ts';
import { Random, seedOf } from '../faults/random.ts';
import { startBucket, type TestBucket } from './bucket.ts';

const idle = new AbortController().signal;
const bytes = 20 << 20;
/** Look, begin, three chunks. */
const requests = 5;

const scratch = makeScratch();
const content = randomBytes(bytes);
const sha256 = createHash('sha256').update(content).digest('hex');
let file: FileToKeep;
let bucket: TestBucket;
let proxy: FaultProxy;
let made = 0;

beforeAll(async () => {
  file = makeFileToKeep(join(scratch.dir, 'image.lime.zst'), content);
  bucket = await startBucket('faults');
  proxy = bucket.proxy;
});
afterAll(async () => {
  await bucket?.[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

const open = () => bucket.open();
const newName = (): ObjectName => ({ captureId: `cap-${++made}`, file: 'image.lime.zst' });
const isOfSession = ({ url }: { url: string }): boolean => url.includes('upload_id=');

/** The object is there as it should be, by the server's own word without the proxy's faults; it goes away again. */
async function expectStored(name: ObjectName): Promise<void> {
  proxy.begin();
  const store = open();
  expect(await store.find(name)).toMatchObject({ bytes, crc32c: file.crc32c });
  await store.delete(name);
}

function expectUntouched(): void {
  expect(createHash('sha256').update(readFileSync(file.path)).digest('hex')).toBe(sha256);
}

function expectNoSecret(error: unknown): void {
  const shown = `${everythingIn(error)}\n${inspect(error, { depth: 20, showHidden: true })}\n${causeChain(error).join('\n')}`;
  expect(proxy.secrets.length).toBeGreaterThan(0);
  expect(shown).not.toContain('upload_id');
  for (const secret of proxy.secrets) expect(shown).not.toContain(secret);
}

test('without a fault an upload makes as many requests as the table below goes through', async () => {
  proxy.begin();
  const name = newName();
  await open().put(name, file, idle);
  expect(proxy.seen.map(({ method, contentRange }) => `${method} ${contentRange}`)).toEqual([
    'GET ',
    'POST ',
    `PUT bytes 0-${(8 << 20) - 1}/${bytes}`,
    `PUT bytes ${8 << 20}-${(16 << 20) - 1}/${bytes}`,
    `PUT bytes ${16 << 20}-${bytes - 1}/${bytes}`,
  ]);
  expect(proxy.seen.filter(({ url }) => /ifGenerationMatch=0/.test(url))).toHaveLength(1);
  await expectStored(name);
});

const table = faults.flatMap((fault) => Array.from({ length: requests }, (_, at) => ({ fault, at })));

test.each(table)('$fault once, at request $at: the object is stored', async ({ fault, at }) => {
  let happened = false;
  proxy.begin((request, index) => {
    if (index !== at || (fault === 'session gone' && !isOfSession(request))) return undefined;
    happened = true;
    return fault;
  });
  const name = newName();
  expect(await open().put(name, file, idle)).toMatchObject({ ...name, bytes, crc32c: file.crc32c });
  expect(happened).toBe(fault !== 'session gone' || at >= 2);
  await expectStored(name);
  expectUntouched();
});

test.each(table)(
  '$fault at request $at and all after it: stored or to be tried again, and then it is stored',
  async ({ fault, at }) => {
    proxy.begin((request, index) =>
      index < at || (fault === 'session gone' && !isOfSession(request)) ? undefined : fault,
    );
    const name = newName();
    const store = open();
    const ending = await store.put(name, file, idle).catch((error: unknown) => error);
    if (ending instanceof Error) {
      expect(ending).toMatchObject({ name: 'Fault', code: 'storage_failed', retry: true });
      expect(ending.message).toContain(`gs://faults/captures/${name.captureId}/image.lime.zst`);
      expectNoSecret(ending);
    } else expect(['slow', 'wrong crc32c', 'answer garbled', 'half of the request']).toContain(fault);
    expectUntouched();
    proxy.begin();
    await store.put(name, file, idle);
    await expectStored(name);
  },
);

const chances: readonly (GcsFault | undefined)[] = [
  ...faults.filter((fault) => fault !== 'slow'),
  undefined,
  undefined,
  undefined,
];

const firstSeed = seedOf('faults of the store');

test.each(Array.from({ length: 6 }, (_, i) => firstSeed + i))('faults at random, seed %i', async (seed) => {
  const random = new Random(seed);
  const name = newName();
  const store = open();
  proxy.begin((request) => {
    const fault = chances[random.below(chances.length)];
    return fault === 'session gone' && !isOfSession(request) ? undefined : fault;
  });
  for (let round = 0; round < 4; round++) {
    const ending = await store.put(name, file, idle).catch((error: unknown) => error);
    if (!(ending instanceof Error)) break;
    // A garbled sum of an object that is there looks like other bytes.
    expect(['storage_failed', 'evidence_conflict']).toContain(Fault.from(ending).code);
    expectNoSecret(ending);
  }
  proxy.begin();
  await store.put(name, file, idle);
  await expectStored(name);
  expectUntouched();
});

test('a put that failed goes on where the server is, in the same process', async () => {
  const name = newName();
  const store = open();
  proxy.begin((_, index) => (index >= 4 ? 'HTTP 503' : undefined));
  await expect(store.put(name, file, idle)).rejects.toMatchObject({ code: 'storage_failed' });
  proxy.begin();
  await store.put(name, file, idle);
  expect(proxy.seen.map(({ method, contentRange }) => `${method} ${contentRange}`)).toEqual([
    'GET ',
    `PUT bytes */${bytes}`,
    `PUT bytes ${16 << 20}-${bytes - 1}/${bytes}`,
  ]);
  await expectStored(name);
});
