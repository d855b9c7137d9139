import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fuzzRuns } from '../../../tools/fuzz-runs.ts';
import { makeScratch } from '../../testing/files.ts';
import { noise } from '../../testing/lime-image.ts';
import { Crc32c } from '../crc32c.ts';
import { openFrames } from './open-frames.ts';
import { packImage } from './pack.ts';
import { frameBytes, writeTable } from './seek-table.ts';
import { damage, memorySource } from './testing/memory-source.ts';

const never = new AbortController().signal;
const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

/** As memory is: some of it zero, some of it text, some of it noise. */
function memory(seed: number, bytes: number): Buffer {
  const data = Buffer.alloc(bytes);
  const filler = noise(seed, Math.min(bytes, 3 << 20));
  for (let at = 0; at < bytes; at += 4096) {
    const kind = filler[(at >>> 12) % Math.max(1, filler.length)] ?? 0;
    if (kind > 170) filler.copy(data, at, at % filler.length, Math.min((at % filler.length) + 4096, filler.length));
    else if (kind > 80) data.fill(`page ${at >>> 14}; `, at, Math.min(at + 4096, bytes));
  }
  return data;
}

async function pack(plain: Buffer): Promise<Buffer> {
  using scratch = makeScratch();
  const [from, to] = [join(scratch.dir, 'image.lime'), join(scratch.dir, 'image.lime.zst')];
  writeFileSync(from, plain);
  await packImage(from, to, never);
  return readFileSync(to);
}

const sizes = [0, 1, 2, 4096, frameBytes - 1, frameBytes, frameBytes + 1, 3 * frameBytes, 9 * frameBytes + 12_345];

test.each(sizes)('an image of %i bytes is told by its sizes and digests, and any zstd unpacks it', async (bytes) => {
  using scratch = makeScratch();
  const [from, to] = [join(scratch.dir, 'image.lime'), join(scratch.dir, 'image.lime.zst')];
  const plain = memory(bytes, bytes);
  writeFileSync(from, plain);
  const told: number[] = [];
  const packed = await packImage(from, to, never, { onBytes: (done) => void told.push(done) });
  const file = readFileSync(to);
  expect(packed).toEqual({
    plainBytes: bytes,
    plainSha256: sha256(plain),
    bytes: file.length,
    crc32c: new Crc32c().update(file).digest(),
  });
  expect(told.at(-1) ?? 0).toBe(bytes);
  expect(statSync(to).mode & 0o777).toBe(0o600);
  expect(zstdDecompressSync(file).equals(plain)).toBe(true);
});

test('any range of any image is the plain bytes', async () => {
  const images = await Promise.all(sizes.map(async (bytes) => memory(bytes, bytes)));
  const packed = await Promise.all(images.map(pack));
  const pick = fc.nat(sizes.length - 1).chain((index) => {
    const bytes = sizes[index] as number;
    return fc.tuple(fc.constant(index), fc.nat(bytes), fc.nat(bytes));
  });
  await fc.assert(
    fc.asyncProperty(fc.array(pick, { minLength: 1, maxLength: 5 }), async (ranges) => {
      for (const [index, a, b] of ranges) {
        await using source = await openFrames(memorySource(packed[index] as Buffer), 'x.zst');
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const plain = images[index] as Buffer;
        expect(source.sizeBytes).toBe(plain.length);
        expect((await source.read(from, to - from)).equals(plain.subarray(from, to))).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});

test('what is outside of the image is no range', async () => {
  await using source = await openFrames(memorySource(await pack(memory(1, 5000))), 'x.zst');
  await expect(source.read(4999, 2)).rejects.toThrow(RangeError);
  await expect(source.read(-1, 2)).rejects.toThrow(RangeError);
  await expect(source.read(0.5, 2)).rejects.toThrow(RangeError);
});

test('the table takes one read, or two when it is long', async () => {
  const one = memorySource(await pack(memory(1, 3 * frameBytes)));
  await using _ = await openFrames(one, 'x.zst');
  expect(one.reads).toHaveLength(1);
  const empty = noise(1, 64);
  const long = memorySource(
    Buffer.concat([...Array(10_000).fill(empty), writeTable(Array(10_000).fill(64), 10_000 * frameBytes)]),
  );
  await using source = await openFrames(long, 'x.zst');
  expect(source.sizeBytes).toBe(10_000 * frameBytes);
  expect(long.reads).toHaveLength(2);
});

test('neighbouring frames come in one read, a frame that several want is read once, and is kept', async () => {
  const plain = memory(7, 6 * frameBytes);
  const packed = memorySource(await pack(plain));
  await using source = await openFrames(packed, 'x.zst');
  packed.reads.length = 0;
  const [a, b] = await Promise.all([source.read(100, 3 * frameBytes), source.read(2 * frameBytes, 10)]);
  expect(a.equals(plain.subarray(100, 100 + 3 * frameBytes))).toBe(true);
  expect(b.equals(plain.subarray(2 * frameBytes, 2 * frameBytes + 10))).toBe(true);
  expect(packed.reads).toHaveLength(1);
  await source.read(5 * frameBytes, 10);
  await source.read(0, plain.length);
  expect(packed.reads).toHaveLength(3);
});

test('no more than 32 frames are kept', async () => {
  const packed = memorySource(await pack(Buffer.alloc(40 * frameBytes)));
  await using source = await openFrames(packed, 'x.zst');
  await source.read(0, 40 * frameBytes);
  packed.reads.length = 0;
  await source.read(39 * frameBytes, 1);
  expect(packed.reads).toHaveLength(0);
  await source.read(0, 1);
  expect(packed.reads).toHaveLength(1);
});

test('a reader that gives up does not take the frame from another, and a failed read is tried again', async () => {
  const plain = memory(3, 2 * frameBytes);
  const packed = memorySource(await pack(plain));
  await using source = await openFrames(packed, 'x.zst');
  const controller = new AbortController();
  const impatient = source.read(0, 10, controller.signal);
  const patient = source.read(0, 10);
  controller.abort(new Error('enough'));
  await expect(impatient).rejects.toThrow('enough');
  expect((await patient).equals(plain.subarray(0, 10))).toBe(true);
  packed.failNext = new Error('the network');
  await expect(source.read(frameBytes, 1)).rejects.toThrow('the network');
  expect((await source.read(frameBytes, 1))[0]).toBe(plain[frameBytes]);
});

test('a damaged byte is never passed on: the plain bytes come, or the ranges that are damaged', async () => {
  const plain = memory(11, 2 * frameBytes + 5000);
  const packed = await pack(plain);
  const tableFrom = packed.length - (8 + 3 * 8 + 9);
  await fc.assert(
    fc.asyncProperty(fc.nat(packed.length - 1), fc.integer({ min: 1, max: 255 }), async (at, mask) => {
      const found = await readAll(memorySource(damage(packed, at, mask)));
      // Some bits of a frame mean nothing to a decoder; in the table each one counts.
      if (Buffer.isBuffer(found)) return found.equals(plain) && at < tableFrom;
      return found.code === 'evidence_damaged' && found.message.includes('/images/x.zst');
    }),
    {
      numRuns: 400,
      examples: Array.from({ length: packed.length - tableFrom }, (_, i): [number, number] => [tableFrom + i, 1]),
    },
  );
});

test('what is damaged is named by its bytes, packed and plain, and the rest can be read', async () => {
  const plain = memory(12, 3 * frameBytes);
  const packed = await pack(plain);
  const table = packed.subarray(packed.length - (8 + 3 * 8 + 9));
  const second = table.readUInt32LE(8);
  const third = second + table.readUInt32LE(16);
  await using source = await openFrames(memorySource(damage(packed, third - 6, 0xff)), '/images/x.zst');
  await expect(source.read(frameBytes + 5, 10)).rejects.toMatchObject({
    code: 'evidence_damaged',
    message: `bytes ${second} to ${third} of the packed image /images/x.zst are damaged, which are bytes 1048576 to 2097152 of the image: restore it from a copy`,
  });
  expect((await source.read(2 * frameBytes, frameBytes)).equals(plain.subarray(2 * frameBytes))).toBe(true);
});

test.each<[string, (packed: Buffer) => Buffer]>([
  ['nothing', () => Buffer.alloc(0)],
  ['the end cut off', (packed) => packed.subarray(0, -1)],
  ['the beginning cut off', (packed) => packed.subarray(1)],
  ['a plain image', () => memory(1, 100_000)],
  ['four thousand million frames', (packed) => damage(packed, packed.length - 6, 0xff)],
  ['frames that are too large', (packed) => damage(packed, packed.length - 9 - 9, 0x7f)],
])('with %s it is damaged', async (_what, change) => {
  const source = memorySource(change(await pack(memory(1, 2 * frameBytes))));
  await expect(openFrames(source, 'x.zst')).rejects.toMatchObject({ code: 'evidence_damaged' });
  expect(source.disposed).toBe(1);
});

test.each<[string, Buffer]>([
  ['has no checksum', frame(Buffer.alloc(frameBytes), 0)],
  ['holds more than the table says', frame(Buffer.alloc(frameBytes + 1), 1)],
  ['holds less than the table says', frame(Buffer.alloc(frameBytes - 1), 1)],
  ['is two', Buffer.concat([frame(Buffer.alloc(frameBytes), 1), frame(Buffer.alloc(10), 1)])],
])('a frame that %s is damaged', async (_what, content) => {
  const packed = Buffer.concat([content, writeTable([content.length], frameBytes)]);
  await using source = await openFrames(memorySource(packed), 'x.zst');
  await expect(source.read(0, 1)).rejects.toMatchObject({ code: 'evidence_damaged' });
});

test('no file that somebody made up breaks the reader, however its table reads', async () => {
  const packed = await pack(memory(5, 2 * frameBytes + 77));
  const tail = packed.subarray(-200);
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.nat(40), fc.nat(0xffffffff)).map(([bytes, count, size]) => {
      const table = writeTable(Array(count).fill(size), count * frameBytes);
      return Buffer.concat([bytes, table]);
    }),
    fc.array(fc.tuple(fc.nat(tail.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }).map((changes) => {
      const changed = Buffer.from(tail);
      for (const [at, byte] of changes) changed[at] = byte;
      return changed;
    }),
  );
  let slowestMs = 0;
  await fc.assert(
    fc.asyncProperty(hostile, async (bytes) => {
      const started = performance.now();
      const found = await readAll(memorySource(bytes));
      slowestMs = Math.max(slowestMs, performance.now() - started);
      return Buffer.isBuffer(found) || found.code === 'evidence_damaged';
    }),
    { numRuns: fuzzRuns(2_000) },
  );
  console.info(`slowest hostile file: ${slowestMs.toFixed(0)} ms`);
});

function frame(plain: Buffer, checksum: number): Buffer {
  const params = { [constants.ZSTD_c_checksumFlag]: checksum, [constants.ZSTD_c_compressionLevel]: 1 };
  return zstdCompressSync(plain, { params, pledgedSrcSize: plain.length });
}

/** All plain bytes, or the fault of opening or reading. */
async function readAll(packed: ReturnType<typeof memorySource>): Promise<Buffer | { code: string; message: string }> {
  try {
    await using source = await openFrames(packed, '/images/x.zst');
    return await source.read(0, source.sizeBytes);
  } catch (error) {
    if (error instanceof Error && 'code' in error) return { code: String(error.code), message: error.message };
    throw error;
  }
}
