import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CheckedStep, FileToKeep, ObjectName } from '../../collector/store/store.ts';
import { makeFileToKeep } from '../../collector/store/testing/store-contract.ts';
import { makeScratch } from '../../collector/testing/files.ts';
import type { SeenRequest } from '../../tools/stage/fault-proxy.ts';
import { errorAnswer } from '../../tools/stage/gcs-answers.ts';
import { startBucket, type TestBucket } from './bucket.ts';

const idle = new AbortController().signal;
const scratch = makeScratch();
let file: FileToKeep;
let other: FileToKeep;
let bucket: TestBucket;
let made = 0;

beforeAll(async () => {
  file = makeFileToKeep(join(scratch.dir, 'mine'), randomBytes(300_000));
  other = makeFileToKeep(join(scratch.dir, 'other'), randomBytes(300_000));
  bucket = await startBucket('refusals');
});
beforeEach(() => bucket.proxy.begin());
afterAll(async () => {
  await bucket?.[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

const newName = (): ObjectName => ({ captureId: `cap-${++made}`, file: 'image.lime.zst' });
const key = 'projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k';

// Words of the real service.
const noBucket = errorAnswer(404, 'The specified bucket does not exist.');
const nothing = errorAnswer(404, 'No such object: refusals/x');
const forbidden = errorAnswer(
  403,
  "kcorder@p.iam.gserviceaccount.com does not have storage.objects.create access to the Google Cloud Storage object. Permission 'storage.objects.create' denied on resource (or it may not exist).",
);
const unauthorized = errorAnswer(401, 'Invalid Credentials');
const noKey = errorAnswer(
  403,
  'Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account has been authorized to use this key.',
);
const retained = errorAnswer(
  403,
  "Object 'refusals/x' is subject to bucket's retention policy or object retention and cannot be deleted or overwritten until 2036-01-01T00:00:00Z",
);

test.each([
  ['no such bucket', noBucket, /there is no bucket refusals: create it, or correct KCORDER_GCS_BUCKET/],
  [
    'no right',
    forbidden,
    /lacks storage\.objects\.(get|list|delete|create) in bucket refusals: give .* roles\/storage\.objectUser.*storage\.objects\.create/,
  ],
  [
    'no login',
    unauthorized,
    /bucket refusals does not accept the login.*Workload Identity.*GOOGLE_APPLICATION_CREDENTIALS/,
  ],
])('%s: every call says it, and what to do', async (_, answer, words) => {
  const store = bucket.open();
  const stored = await store.put(newName(), file, idle);
  bucket.proxy.begin();
  bucket.proxy.answerFor = () => answer;
  const refused = { name: 'Fault', code: 'store_refused', retry: false, message: expect.stringMatching(words) };
  await expect(store.put(newName(), file, idle)).rejects.toMatchObject(refused);
  await expect(store.find(stored)).rejects.toMatchObject(refused);
  await expect(store.open(stored)).rejects.toMatchObject(refused);
  await expect(store.delete(stored)).rejects.toMatchObject(refused);
  await expect(collect(store.list())).rejects.toMatchObject(refused);
  const made = bucket.proxy.seen.map(({ method, url }) => `${method} ${url}`);
  // After a 403 a deletion looks whether the object is retained.
  expect(made.length, 'none is made twice').toBe(answer === forbidden ? 6 : 5);
});

test.each([
  ['when a session begins', 'POST'],
  ['in the middle of an upload', 'PUT'],
])('no right %s: refused, and put when the right is there', async (_, method) => {
  const store = bucket.open();
  const name = newName();
  bucket.proxy.answerFor = (request) => (request.method === method ? forbidden : undefined);
  await expect(store.put(name, file, idle)).rejects.toMatchObject({
    code: 'store_refused',
    message: expect.stringContaining(`gs://refusals/captures/${name.captureId}/image.lime.zst cannot be stored`),
  });
  bucket.proxy.begin();
  await store.put(name, file, idle);
  expect(await store.find(name)).toMatchObject({ crc32c: file.crc32c });
});

test.each([
  ['a retention policy', { retentionExpirationTime: '2036-01-01T00:00:00Z' }, 'RETAINED until 2036-01-01T00:00:00Z'],
  [
    'a retention of its own, longer than that of the bucket',
    {
      retentionExpirationTime: '2036-01-01T00:00:00Z',
      retention: { mode: 'Locked', retainUntilTime: '2037-01-01T00:00:00Z' },
    },
    'RETAINED until 2037-01-01T00:00:00Z',
  ],
  ['a temporary hold', { temporaryHold: true }, 'RETAINED until its temporary hold is released'],
  ['an event-based hold', { eventBasedHold: true }, 'RETAINED until its event-based hold is released'],
])('%s: deletion says until when, and the object stays', async (_, holds, words) => {
  const store = bucket.open();
  const stored = await store.put(newName(), file, idle);
  bucket.proxy.answerFor = ({ method }) => (method === 'DELETE' ? retained : undefined);
  bucket.proxy.amend = ({ method }) => (method === 'GET' ? holds : {});
  await expect(store.delete(stored)).rejects.toMatchObject({
    code: 'evidence_retained',
    message: expect.stringContaining(`${stored.location} is ${words}`),
  });
  bucket.proxy.begin();
  expect(await store.find(stored)).toEqual(stored);
});

test('deletion that is forbidden for another reason names the right', async () => {
  const store = bucket.open();
  const stored = await store.put(newName(), file, idle);
  bucket.proxy.answerFor = ({ method }) => (method === 'DELETE' ? forbidden : undefined);
  await expect(store.delete(stored)).rejects.toMatchObject({
    code: 'store_refused',
    message: expect.stringContaining('lacks storage.objects.delete in bucket refusals'),
  });
});

test('an object that somebody puts during the upload is compared: the server says 412', async () => {
  for (const [theirs, expected] of [
    [file, { kind: 'same' }],
    [other, { code: 'evidence_conflict' }],
  ] as const) {
    const name = newName();
    let isFirst = true;
    const rival = bucket.open();
    bucket.proxy.before = async ({ method, url }: SeenRequest) => {
      if (method !== 'PUT' || !isFirst || !url.includes(name.captureId)) return;
      isFirst = false;
      await rival.put(name, theirs, idle);
    };
    const ending = await bucket
      .open()
      .put(name, file, idle)
      .then(
        () => ({ kind: 'same' }),
        (error: unknown) => error,
      );
    expect(ending).toMatchObject(expected);
    bucket.proxy.begin();
    expect(await rival.find(name)).toMatchObject({ crc32c: theirs.crc32c });
  }
});

test('an object that comes out wrong in a bucket that keeps it is a conflict, not a success', async () => {
  const store = bucket.open();
  const name = newName();
  bucket.proxy.amend = () => ({ crc32c: 'AAAAAA==', retentionExpirationTime: '2036-01-01T00:00:00Z' });
  bucket.proxy.answerFor = ({ method }) => (method === 'DELETE' ? retained : undefined);
  await expect(store.put(name, file, idle)).rejects.toMatchObject({ code: 'evidence_conflict' });
  expect(bucket.proxy.seen.filter(({ method }) => method === 'DELETE')).toHaveLength(1);
});

test('an object that comes out wrong is removed and made again', async () => {
  const store = bucket.open();
  const name = newName();
  let isFirst = true;
  bucket.proxy.amend = ({ method, url }) => {
    if (!isFirst || !/upload_id|\/o\//.test(url)) return {};
    // Wrong until it was looked at a second time.
    isFirst = method !== 'GET';
    return { crc32c: 'AAAAAA==' };
  };
  // The first look finds nothing.
  bucket.proxy.answerFor = ({ method }) => (method === 'GET' && bucket.proxy.seen.length === 1 ? nothing : undefined);
  const stored = await store.put(name, file, idle);
  expect(stored.crc32c).toBe(file.crc32c);
  expect(bucket.proxy.seen.map(({ method }) => method).join(' ')).toBe('GET POST PUT GET DELETE GET POST PUT');
  bucket.proxy.begin();
  expect(await store.find(name)).toEqual(stored);
});

test('the customer key and the metadata go with the session', async () => {
  const name = newName();
  await bucket.open({ kmsKey: key }).put(name, file, idle);
  const begun = bucket.proxy.seen.find(({ method }) => method === 'POST');
  expect(new URLSearchParams(begun?.url.split('?')[1]).get('kmsKeyName')).toBe(key);
  bucket.proxy.answerFor = ({ method }) => (method === 'POST' ? noKey : undefined);
  await expect(bucket.open({ kmsKey: key }).put(newName(), file, idle)).rejects.toMatchObject({
    code: 'store_refused',
    message: expect.stringMatching(/cloudkms\.cryptoKeyEncrypterDecrypter.*Permission denied on Cloud KMS key/),
  });
});

test('another generation is not read', async () => {
  const store = bucket.open();
  const stored = await store.put(newName(), file, idle);
  await using source = await store.open(stored);
  await store.delete(stored);
  await expect(source.read(0, 10)).rejects.toMatchObject({ code: 'evidence_missing' });
  await store.put(stored, other, idle);
  await expect(source.read(0, 10)).rejects.toMatchObject({ code: 'evidence_missing' });
});

test.each(['HTTP 429', 'HTTP 503', 'reset before the request', 'reset after it was done', 'answer cut short'] as const)(
  '%s while a range is read: it is read again; again and again: it can be tried later',
  async (fault) => {
    const store = bucket.open();
    const stored = await store.put(newName(), file, idle);
    await using source = await store.open(stored);
    const whole = await source.read(0, stored.bytes);
    bucket.proxy.begin((_, index) => (index === 0 ? fault : undefined));
    expect((await source.read(100, 5000)).equals(whole.subarray(100, 5100))).toBe(true);
    bucket.proxy.begin(() => fault);
    await expect(source.read(100, 5000)).rejects.toMatchObject({ code: 'storage_failed', retry: true });
  },
);

test('a store that takes requests and never answers: it can be tried later, or given up', async () => {
  bucket.proxy.before = () => new Promise<void>(() => undefined);
  await expect(bucket.open({}, 30).put(newName(), file, idle)).rejects.toMatchObject({
    code: 'storage_failed',
    message: expect.stringContaining('in 5 attempts (last: no complete answer, TIMEOUT)'),
  });
  const reason = new Error('enough');
  const controller = new AbortController();
  const ending = expect(bucket.open().put(newName(), file, controller.signal)).rejects.toBe(reason);
  controller.abort(reason);
  await ending;
});

const stepsOf = async (settings: { kmsKey?: string } = {}): Promise<CheckedStep[]> =>
  await collect(bucket.open(settings).check(idle));

test('a check of a bucket that is not there ends at once', async () => {
  bucket.proxy.answerFor = () => noBucket;
  expect(await stepsOf()).toEqual([
    { step: 'bucket', state: 'failed', detail: expect.stringContaining('there is no bucket refusals: create it') },
  ]);
});

test('a check without any right ends after the put', async () => {
  bucket.proxy.answerFor = () => forbidden;
  expect(await stepsOf()).toEqual([
    { step: 'bucket', state: 'skipped', detail: expect.stringContaining('storage.buckets.get') },
    { step: 'put', state: 'failed', detail: expect.stringContaining('roles/storage.objectUser') },
  ]);
});

test('a check tells what is wrong at each step, and goes on', async () => {
  bucket.proxy.answerFor = ({ method, url }) => (method === 'GET' && url.includes('alt=media') ? forbidden : undefined);
  const steps = await stepsOf({ kmsKey: key });
  expect(steps.filter(({ state }) => state === 'failed')).toEqual([
    { step: 'customer key', state: 'failed', detail: expect.stringContaining('correct KCORDER_GCS_KMS_KEY') },
    { step: 'read', state: 'failed', detail: expect.stringContaining('lacks storage.objects.get') },
  ]);
  expect(steps.at(-1)).toMatchObject({ step: 'delete', state: 'ok' });
});

test('a check of a bucket that keeps objects says so', async () => {
  bucket.proxy.answerFor = ({ method }) => (method === 'DELETE' ? retained : undefined);
  bucket.proxy.amend = ({ method, url }) => {
    if (method !== 'GET') return {};
    return url.includes('/o/')
      ? { retentionExpirationTime: '2036-01-01T00:00:00Z' }
      : { retentionPolicy: { retentionPeriod: '86400', isLocked: true }, versioning: { enabled: true } };
  };
  const steps = await stepsOf();
  expect(steps.filter(({ state }) => state === 'failed')).toEqual([]);
  expect(steps[0]?.detail).toMatch(/every object is kept for 86400 s, locked.*versions are kept/);
  expect(steps.at(-1)).toMatchObject({ step: 'delete', detail: expect.stringContaining('RETAINED until 2036-01-01') });
});

test('a server that replaces objects fails the check', async () => {
  bucket.proxy.rewrite = ({ url }) => url.replace('ifGenerationMatch=0', '');
  expect((await stepsOf()).find(({ step }) => step === 'overwrite')).toMatchObject({
    state: 'failed',
    detail: expect.stringContaining('it can lose evidence'),
  });
});
