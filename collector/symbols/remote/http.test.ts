import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../../testing/files.ts';
import type { DownloadRequest } from './download.ts';
import { download } from './http.ts';
import { quick } from './testing/quick.ts';
import { type Behaviour, SymbolServer } from './testing/symbol-server.ts';
import type { Timeouts } from './timeouts.ts';

const never = new AbortController().signal;
const object = randomBytes(300_000);
const limitBytes = 1 << 20;

/** Bytes that the current test has taken. */
let takenBytes = 0;

/** Downloads into memory. */
async function get(request: Omit<DownloadRequest, 'limitBytes'>, timeouts: Partial<Timeouts> = {}, signal = never) {
  let content = Buffer.alloc(0);
  const take = (offsetBytes: number, bytes: Buffer) => {
    expect(offsetBytes).toBeLessThanOrEqual(content.length);
    content = Buffer.concat([content.subarray(0, offsetBytes), bytes]);
    takenBytes += bytes.length;
  };
  const end = await download({ limitBytes, ...request }, take, { ...quick, ...timeouts }, signal);
  return { end, content };
}

async function serve(script: readonly Behaviour[] | ((nth: number) => Behaviour), bytes = object) {
  const server = await SymbolServer.start();
  takenBytes = 0;
  server.beforeCut = (servedBytes) => until(() => takenBytes >= servedBytes);
  return {
    server,
    url: server.put('/object', bytes, script),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

const always = (how: Behaviour) => () => how;

test.each<[string, Behaviour[], (string | undefined)[]]>([
  ['a good server', [], [undefined]],
  ['chunks without a length', [{ chunked: true }], [undefined]],
  ['a body that drips', [{ dripBytes: 20_000 }], [undefined]],
  ['a 500, then a good answer', [{ status: 500 }], [undefined, undefined]],
  ['a 429 and a 408', [{ status: 429 }, { status: 408 }], [undefined, undefined, undefined]],
  ['a cut: the rest comes by range', [{ cutBytes: 100_000 }], [undefined, 'bytes=100000-']],
  ['two cuts', [{ cutBytes: 100_000 }, { cutBytes: 50_000 }], [undefined, 'bytes=100000-', 'bytes=150000-']],
  ['a cut without a validator: all comes anew', [{ cutBytes: 100_000, etag: null }], [undefined, undefined]],
  ['a cut and no ranges: all comes anew', [{ cutBytes: 100_000 }, { ignoreRange: true }], [undefined, 'bytes=100000-']],
  ['a weak ETag may not be in If-Range', [{ cutBytes: 100_000, etag: 'W/"one"' }], [undefined, undefined]],
  [
    'a cut, then a 206 of another offset',
    [{ cutBytes: 100_000 }, { headers: { 'content-range': 'bytes 0-199999/300000' } }],
    [undefined, 'bytes=100000-', undefined],
  ],
  [
    'a cut, then a 206 without Content-Range',
    [{ cutBytes: 100_000 }, { headers: { 'content-range': 'nonsense' } }],
    [undefined, 'bytes=100000-', undefined],
  ],
  [
    'a cut, then a 206 of another ETag',
    [{ cutBytes: 100_000 }, { headers: { etag: '"two"' } }],
    [undefined, 'bytes=100000-', undefined],
  ],
  ['a cut, then a 416', [{ cutBytes: 100_000 }, { status: 416 }], [undefined, 'bytes=100000-', undefined]],
  [
    'more than was declared',
    [{ headers: { 'x-debuginfod-size': '300000' }, surplus: Buffer.alloc(9) }],
    [undefined, undefined],
  ],
])('the whole object comes in spite of: %s', async (_what, script, ranges) => {
  await using place = await serve(script);
  const { end, content } = await get({ url: place.url });
  expect(end).toMatchObject({ kind: 'ok', whole: true, version: { sizeBytes: object.length } });
  expect(content.equals(object)).toBe(true);
  expect(place.server.asked.map(({ range }) => range)).toEqual(ranges);
});

test('a silent body is given up and goes on by range', async () => {
  await using place = await serve([{ stallBytes: 120_000 }]);
  const { end, content } = await get({ url: place.url }, { idleMs: 150 });
  expect(end).toMatchObject({ kind: 'ok', bytesRead: object.length });
  expect(content.equals(object)).toBe(true);
});

test('an object that was replaced after a cut comes whole, and nothing of the old one is left', async () => {
  const other = randomBytes(200_000);
  const replaced = { bytes: other, etag: '"two"' };
  await using place = await serve([{ cutBytes: 250_000 }, replaced]);
  const { end, content } = await get({ url: place.url });
  expect(end).toMatchObject({ kind: 'ok', version: { sizeBytes: other.length, etag: '"two"' } });
  expect(content.subarray(0, other.length).equals(other)).toBe(true);
  expect(place.server.asked[1]?.headers['if-range']).toBe('"one"');
});

test.each<[string, Behaviour, object, number]>([
  ['404', { status: 404 }, { kind: 'absent', status: 404 }, 1],
  ['410', { status: 410 }, { kind: 'absent', status: 410 }, 1],
  ['401', { status: 401 }, { kind: 'forbidden', status: 401 }, 1],
  ['403', { status: 403 }, { kind: 'forbidden', status: 403 }, 1],
  ['another 4xx', { status: 418 }, { kind: 'failed', reason: 'answered 418', transient: false }, 1],
  ['503 for ever', { status: 503 }, { kind: 'failed', reason: 'answered 503; tried 3 times', transient: true }, 3],
  ['a 206 nobody asked for', { status: 206 }, { kind: 'failed', reason: 'answered 206', transient: false }, 1],
  ['a declared size above the limit', { headers: { 'content-length': '10737418240' } }, { kind: 'rejected' }, 1],
  ['an endless body', { endless: true }, { kind: 'rejected', problem: 'is larger than 1048576 bytes' }, 1],
  ['gzip although identity was asked for', { gzip: true }, { kind: 'rejected' }, 1],
  ['a coding nobody knows', { headers: { 'content-encoding': 'rot13' } }, { kind: 'rejected' }, 1],
  ['a cut at every restart', { cutBytes: 1000, etag: null }, { kind: 'failed', transient: true }, 3],
  [
    'too little for what was declared',
    { chunked: true, headers: { 'x-debuginfod-size': '400000' } },
    { kind: 'failed' },
    3,
  ],
])('%s ends it', async (_what, how, expected, requests) => {
  await using place = await serve(always(how));
  const { end } = await get({ url: place.url });
  expect(end).toMatchObject(expected);
  expect(place.server.asked).toHaveLength(requests);
});

test('cuts go on for as long as each try brings much', async () => {
  const large = randomBytes(6 << 20);
  await using place = await serve((nth) => (nth < 5 ? { cutBytes: 1_100_000 } : {}), large);
  const take = (_offsetBytes: number, bytes: Buffer) => {
    takenBytes += bytes.length;
  };
  const end = await download({ url: place.url, limitBytes: 8 << 20 }, take, quick, never);
  expect(end).toMatchObject({ kind: 'ok', bytesRead: large.length });
  expect(takenBytes).toBe(large.length);
  expect(place.server.asked).toHaveLength(6);
});

test('Retry-After is waited for, up to the limit', async () => {
  await using place = await serve([{ status: 429, headers: { 'retry-after': '3600' } }]);
  const startMs = performance.now();
  const { end } = await get({ url: place.url }, { retryAfterLimitMs: 200 });
  expect(end.kind).toBe('ok');
  expect(performance.now() - startMs).toBeGreaterThan(190);
});

test('no answer at all is tried again, then given up', async () => {
  await using place = await serve(always({ beforeHeadersMs: 400 }));
  const { end } = await get({ url: place.url }, { headersMs: 60, attempts: 2 });
  expect(end).toEqual({ kind: 'failed', reason: 'gave no answer within 0.06 s; tried 2 times', transient: true });
});

test('a port where nobody listens', async () => {
  const server = await SymbolServer.start();
  const url = server.url('/object');
  await server[Symbol.asyncDispose]();
  const { end } = await get({ url });
  expect(end).toMatchObject({
    kind: 'failed',
    transient: true,
    reason: expect.stringContaining('could not be reached'),
  });
});

test('a range, and then another of the same object only', async () => {
  await using place = await serve((nth) => (nth < 2 ? {} : { bytes: randomBytes(300_000), etag: '"two"' }));
  const first = await get({ url: place.url, range: { offsetBytes: 0, lengthBytes: 1000 } });
  if (first.end.kind !== 'ok') throw new Error('no first range');
  expect(first.end.whole).toBe(false);
  expect(first.content.equals(object.subarray(0, 1000))).toBe(true);
  const again = { url: place.url, range: { offsetBytes: 0, lengthBytes: 1000 }, version: first.end.version };
  expect((await get(again)).end.kind).toBe('ok');
  expect((await get(again)).end.kind).toBe('changed');
});

test.each<[string, Behaviour]>([
  ['another offset', { headers: { 'content-range': 'bytes 1-1000/300000' } }],
  ['no Content-Range', { headers: { 'content-range': '' } }],
  ['more than was asked for', { headers: { 'content-range': 'bytes 0-1999/300000' } }],
  ['a longer body than its Content-Range', { surplus: Buffer.alloc(10) }],
  ['a content coding', { gzip: true }],
])('a range that is answered with %s is not taken', async (_what, how) => {
  await using place = await serve([how]);
  const { end } = await get({ url: place.url, range: { offsetBytes: 0, lengthBytes: 1000 } });
  expect(end.kind).toBe('changed');
});

test('a cut range goes on where it stopped', async () => {
  await using place = await serve([{ cutBytes: 4000 }]);
  const { content } = await get({ url: place.url, range: { offsetBytes: 0, lengthBytes: 10_000 } });
  expect(content.equals(object.subarray(0, 10_000))).toBe(true);
  expect(place.server.asked.map(({ range }) => range)).toEqual(['bytes=0-9999', 'bytes=4000-9999']);
});

test('a server that does not know If-Range is asked without it', async () => {
  await using place = await serve(always({ ignoreIfRange: true }));
  const range = { offsetBytes: 0, lengthBytes: 1000 };
  const first = await get({ url: place.url, range });
  if (first.end.kind !== 'ok') throw new Error('no first range');
  const second = await get({ url: place.url, range, version: first.end.version });
  expect(second.end).toMatchObject({ kind: 'ok', version: { ifRange: undefined } });
  expect(place.server.asked.map(({ status }) => status)).toEqual([206, 200, 206]);
});

test('an abort throws its reason: before, while waiting for an answer, in a body and in a pause', async () => {
  const scripts: Behaviour[] = [
    {},
    { beforeHeadersMs: 10_000 },
    { stallBytes: 1000 },
    { status: 429, headers: { 'retry-after': '3600' } },
  ];
  for (const [index, how] of scripts.entries()) {
    await using place = await serve(always(how));
    const controller = new AbortController();
    if (index === 0) controller.abort('given up');
    const ended = get({ url: place.url }, { retryAfterLimitMs: 60_000 }, controller.signal).catch((error) => error);
    await sleep(50);
    controller.abort('given up');
    expect(await ended).toBe('given up');
  }
});

test('a server that closes after each answer does no harm', async () => {
  const seed = randomInt(2 ** 31);
  for (let count = 0; count < 60; count += 1) {
    const bytes = Buffer.alloc((seed * (count + 1)) % 1_000_000, count);
    await using place = await serve([{ headers: { connection: 'close' }, lengthless: count % 2 === 0 }], bytes);
    const { end, content } = await get({ url: place.url });
    expect(end, `seed ${seed}`).toMatchObject({ kind: 'ok' });
    expect(content.equals(bytes)).toBe(true);
  }
});

test('connections are used again', async () => {
  await using place = await serve([]);
  for (let count = 0; count < 20; count += 1) await get({ url: place.url });
  expect(place.server.connections).toBeLessThan(10);
});
