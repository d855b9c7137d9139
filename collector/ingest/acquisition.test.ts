import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { create } from '@bufbuild/protobuf';
import type { Fault } from '@kcorder/proto/fault.ts';
import { ChunkSchema } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { expect, test } from 'vitest';
import { ImageWriter } from '../evidence/image-writer.ts';
import { makeScratch, until } from '../testing/files.ts';
import { limeImage } from '../testing/lime-image.ts';
import { request } from '../testing/states.ts';
import { Acquisition } from './acquisition.ts';

const image = limeImage(1, [600_000]);
const never = new AbortController().signal;

/** An acquisition whose journal can be made to refuse, and a stream that holds it. */
function acquire(dir: string) {
  const path = join(dir, 'image.part');
  const journal = { durable: 0, refuses: false };
  const writers: ImageWriter[] = [];
  const acquisition = new Acquisition({ ...request, ceilingBytes: 1 << 20 }, 0, {
    openWriter: async (durable) => {
      const writer = await ImageWriter.open(path, durable);
      writers.push(writer);
      return writer;
    },
    advance: (bytes) => {
      if (journal.refuses) throw new Error('database or disk is full');
      journal.durable = bytes;
    },
  });
  const ended: (Fault | undefined)[] = [];
  acquisition.holder = { acquisitionId: 'a', attempt: 1, moved: false, end: async (fault) => void ended.push(fault) };
  const store = (from: number, to: number) => {
    const data = image.subarray(from, to);
    return acquisition.store(create(ChunkSchema, { offset: BigInt(from), data, crc32: crc32(data) }), never);
  };
  return { acquisition, journal, writers, ended, store, path };
}

test('a small chunk becomes durable by itself, without another one after it', async () => {
  using scratch = makeScratch();
  const { acquisition, journal, store } = acquire(scratch.dir);
  const acknowledged: number[] = [];
  acquisition.acknowledge = (durable) => acknowledged.push(durable);
  await store(0, 1000);
  expect(acquisition.durableBytes).toBe(0);
  await until(() => acknowledged.length > 0);
  expect([acquisition.durableBytes, journal.durable, acknowledged]).toEqual([1000, 1000, [1000]]);
  await acquisition.close();
});

test('what cannot be journaled is not durable: the stream is ended, and the next one begins at the last acknowledgement', async () => {
  using scratch = makeScratch();
  const { acquisition, journal, writers, ended, store, path } = acquire(scratch.dir);
  await store(0, 100_000);
  await acquisition.settle();
  journal.refuses = true;
  await store(100_000, 300_000);
  // The sender may have nothing more to send: waiting for its next chunk would be waiting for ever.
  await until(() => ended.length > 0);
  expect([acquisition.durableBytes, acquisition.lastError]).toEqual([100_000, ended[0]?.message]);
  expect((await acquisition.writer()).offsetBytes).toBe(100_000);
  expect(readFileSync(path)).toHaveLength(100_000);
  await expect(store(300_000, 400_000)).rejects.toMatchObject({
    code: 'offset_gap',
    message: expect.stringContaining('byte 100000 is expected'),
  });
  journal.refuses = false;
  await store(100_000, image.length);
  await acquisition.settle();
  expect([acquisition.durableBytes, journal.durable, acquisition.lastError]).toEqual([
    image.length,
    image.length,
    undefined,
  ]);
  expect(writers).toHaveLength(2);
  const writer = await acquisition.release();
  expect(writer.walker.damage(image.length)).toBeUndefined();
  await writer.close();
  expect(readFileSync(path).equals(image)).toBe(true);
});

test('a failure to settle is told to whoever settles, and does not move the durable offset', async () => {
  using scratch = makeScratch();
  const { acquisition, journal, store } = acquire(scratch.dir);
  await store(0, 1000);
  journal.refuses = true;
  await acquisition.settle().catch(() => undefined);
  await expect(async () => {
    await store(acquisition.durableBytes, 2000);
    await acquisition.settle();
  }).rejects.toThrow('database or disk is full');
  expect(acquisition.durableBytes).toBe(0);
  await acquisition.close();
});
