import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RangeSource } from '../store/range-source.ts';
import { makeScratch } from '../testing/files.ts';
import { noise } from '../testing/lime-image.ts';
import { ProtocolError } from './protocol.ts';
import { serveRanges } from './range-server.ts';

const image = noise(1, 5 << 20);

function sourceOf(data: Buffer, read?: RangeSource['read']): RangeSource {
  return {
    sizeBytes: data.length,
    read: read ?? (async (offset, length) => data.subarray(offset, offset + length)),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** A server and the runner's end of its channel: sockets of the same kind as a child's. */
async function serve(source: RangeSource = sourceOf(image)) {
  using scratch = makeScratch();
  const server = createServer().listen(join(scratch.dir, 'socket'));
  await once(server, 'listening');
  const runner = connect(join(scratch.dir, 'socket'));
  const [collector] = (await once(server, 'connection')) as [Socket];
  server.close();
  runner.on('error', () => {});
  const failures: unknown[] = [];
  const never = new AbortController().signal;
  const ended = serveRanges(collector, source, (error) => failures.push(error), never);
  return { runner, failures, ended };
}

function request(offset: number | bigint, length: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeBigUInt64LE(BigInt(offset), 0);
  bytes.writeUInt32LE(length, 8);
  return bytes;
}

/** Whatever may have brought bytes or the end. */
async function changed(runner: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const events = ['readable', 'end', 'close'];
  for (const event of events) runner.on(event, resolve);
  await promise;
  for (const event of events) runner.off(event, resolve);
}

/** The next bytes, or that there are none any more. */
async function take(runner: Socket, length: number): Promise<Buffer | 'closed'> {
  const parts: Buffer[] = [];
  for (let missing = length; missing > 0; ) {
    const part = runner.read(Math.min(missing, Math.max(1, runner.readableLength))) as Buffer | null;
    if (part === null && (runner.readableEnded || runner.destroyed)) return 'closed';
    if (part === null) await changed(runner);
    else parts.push(part);
    missing -= part?.length ?? 0;
  }
  return Buffer.concat(parts);
}

test('whatever ranges are asked for come in their order, however the requests are cut', async () => {
  const range = fc.nat(image.length - 1).chain((offset) => {
    return fc.tuple(fc.constant(offset), fc.integer({ min: 1, max: Math.min(1 << 20, image.length - offset) }));
  });
  await fc.assert(
    fc.asyncProperty(fc.array(range, { minLength: 1, maxLength: 5 }), fc.nat(12), async (ranges, cut) => {
      const { runner, failures, ended } = await serve();
      for (const [offset, length] of ranges) {
        const bytes = request(offset, length);
        runner.write(bytes.subarray(0, cut));
        runner.write(bytes.subarray(cut));
        expect(image.subarray(offset, offset + length).equals((await take(runner, length)) as Buffer)).toBe(true);
      }
      runner.end();
      await ended;
      expect(failures).toEqual([]);
    }),
    { numRuns: 50 },
  );
});

test('a mark comes back as it is, behind what was asked for before', async () => {
  const { runner, failures, ended } = await serve();
  const mark = request(2n ** 64n - 5n, 0);
  runner.write(Buffer.concat([request(7, 300), mark]));
  expect(await take(runner, 300)).toEqual(image.subarray(7, 307));
  expect(await take(runner, 12)).toEqual(mark);
  runner.end();
  await ended;
  expect(failures).toEqual([]);
});

test('who asks on without waiting breaks the protocol', async () => {
  let reads = 0;
  const read: RangeSource['read'] = async (_offset, length) => {
    reads += 1;
    return Buffer.alloc(length);
  };
  const { runner, failures, ended } = await serve(sourceOf(image, read));
  runner.write(Buffer.concat(Array.from({ length: 1000 }, () => request(0, 1 << 20))));
  await ended;
  expect(failures).toEqual([expect.any(ProtocolError)]);
  expect(reads).toBe(0);
});

test.each<[string, Buffer]>([
  ['more than 4 MiB', request(0, (4 << 20) + 1)],
  ['more than there is', request(image.length - 1, 2)],
  ['what begins past the end', request(2n ** 64n - 1n, 1)],
])('a request for %s breaks the protocol', async (_what, bytes) => {
  const { runner, failures, ended } = await serve();
  runner.write(bytes);
  await ended;
  expect(failures).toEqual([expect.any(ProtocolError)]);
  expect(await take(runner, 1)).toBe('closed');
});

test('bytes that cannot be read are told before the runner could notice, and nothing is answered any more', async () => {
  const damage = new Fault('evidence_damaged', 'bytes 5 to 9 are damaged');
  const read: RangeSource['read'] = async (offset, length) => {
    if (offset === 100) throw damage;
    return image.subarray(offset, offset + length);
  };
  const { runner, failures, ended } = await serve(sourceOf(image, read));
  runner.write(request(0, 4));
  expect(await take(runner, 4)).toEqual(image.subarray(0, 4));
  runner.write(Buffer.concat([request(100, 4), request(200, 4)]));
  expect(await take(runner, 4)).toBe('closed');
  expect(failures).toEqual([damage]);
  await ended;
});

test('a runner that dies in the middle of an answer is no failure of the image', async () => {
  const { runner, failures, ended } = await serve();
  runner.write(request(0, 4 << 20));
  await take(runner, 10);
  runner.destroy();
  await ended;
  expect(failures).toEqual([]);
});
