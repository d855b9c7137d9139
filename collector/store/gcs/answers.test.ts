import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { makeScratch } from '../../testing/files.ts';
import { openGcs } from '../gcs.ts';
import type { StoredObject } from '../store.ts';

// What a bucket answers, or a proxy before it, that means no good. Good answers come from a real server in test/evidence.

const scratch = makeScratch();
let answer: (response: ServerResponse) => void;
let sentBytes = 0;
const server = createServer((request, response) => {
  request.resume();
  if (request.url?.includes('alt=media')) return answer(response);
  if (request.url?.includes('/o?')) return answer(response);
  response.end(JSON.stringify({ size: String(sizeBytes), generation: '7', crc32c: 'AAAAAA==' }));
});
const sizeBytes = 2 ** 40;
const name = { captureId: '0193a5c2-0000-7000-8000-000000000000', file: 'image.lime' };
const object: StoredObject = { ...name, location: 'gs://b/x', bytes: sizeBytes, crc32c: '00000000', generation: '7' };

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  server.closeAllConnections();
});
afterAll(() => {
  server.close();
  scratch[Symbol.dispose]();
});

const store = () => {
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const pace = { attempts: 2, firstMs: 1, longestMs: 1, answerMs: 60_000 };
  return openGcs({ bucket: 'b', prefix: '', kmsKey: '', endpoint }, scratch.dir, pace);
};

async function read(length: number): Promise<Buffer> {
  await using source = await store().open(object);
  return await source.read(0, length);
}

async function firstOf<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}

/** Sends without end, as long as somebody takes it. */
function sendEndlessly(response: ServerResponse): void {
  const chunk = Buffer.alloc(1 << 20, 65);
  const more = (): void => {
    while (!response.destroyed) {
      sentBytes += chunk.length;
      if (!response.write(chunk)) return;
    }
  };
  response.on('drain', more);
  more();
}

test.each([
  ['without end', 206, {}, sendEndlessly],
  ['without end, as a whole object', 200, {}, sendEndlessly],
  [
    'that unpacks to much more',
    206,
    { 'content-encoding': 'gzip' },
    (response: ServerResponse) => response.end(gzipSync(Buffer.alloc(64 << 20))),
  ],
])('an answer %s is not read on', async (_, status, headers, send) => {
  sentBytes = 0;
  answer = (response) => void send(response.writeHead(status, headers));
  await expect(read(1_000)).rejects.toMatchObject({
    code: 'storage_failed',
    message: expect.stringMatching(/no usable answer in 2 attempts \(last: an answer of more than \d+ bytes\)/),
  });
  // Two attempts, and what is on its way meanwhile.
  expect(sentBytes).toBeLessThan(64 << 20);
});

test.each([
  ['is longer', Buffer.alloc(5_000)],
  ['is shorter', Buffer.alloc(5)],
  ['is a page', Buffer.from('<html>'.repeat(100))],
])('an answer that %s is not taken for evidence, nor for evidence that is gone', async (_, body) => {
  answer = (response) => void response.writeHead(206).end(body);
  await expect(read(1_000)).rejects.toMatchObject({ code: 'storage_failed' });
});

test.each(['null', '[]', '{"items":[null]}', '{"items":{"a":1}}', '{"items":[{"name":5}]}', '{"nextPageToken":5}'])(
  'a list that is none is told: %s',
  async (text) => {
    answer = (response) => void response.end(text);
    await expect(firstOf(store().list())).rejects.toMatchObject({ code: 'storage_failed' });
  },
);
