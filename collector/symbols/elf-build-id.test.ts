import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fuzzRuns } from '../../tools/fuzz-runs.ts';
import { findBuildId, type RandomAccess, readBuildId } from './elf-build-id.ts';
import { makeElf } from './testing/symbol-files.ts';

const buildId = '3b43fad5034874490492495d552c0af6a5fab235';

function inMemory(bytes: Buffer): RandomAccess & { readBytes: number } {
  return {
    sizeBytes: bytes.length,
    readBytes: 0,
    async read(offsetBytes, lengthBytes) {
      this.readBytes += lengthBytes;
      return bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
    },
  };
}

function patched(change: (elf: Buffer) => void): Buffer {
  const elf = makeElf(buildId);
  change(elf);
  return elf;
}

test('the build-id of a note section', async () => {
  expect(await readBuildId(inMemory(makeElf(buildId)))).toBe(buildId);
});

test('the build-id of a note segment, where there are no sections', async () => {
  const elf = patched((bytes) => {
    const section = bytes.length - 64;
    bytes.writeUInt16LE(0, 60);
    bytes.writeBigUInt64LE(BigInt(section), 32);
    bytes.writeUInt16LE(56, 54);
    bytes.writeUInt16LE(1, 56);
    const size = bytes.readBigUInt64LE(section + 32);
    bytes.fill(0, section);
    bytes.writeUInt32LE(4, section);
    bytes.writeBigUInt64LE(64n, section + 8);
    bytes.writeBigUInt64LE(size, section + 32);
  });
  expect(await readBuildId(inMemory(elf))).toBe(buildId);
});

const note = (name: string, type: number, value: Buffer) => {
  const head = Buffer.alloc(12);
  for (const [index, word] of [name.length + 1, value.length, type].entries()) head.writeUInt32LE(word, index * 4);
  return Buffer.concat([head, Buffer.from(`${name}\0`), value]);
};
const ofKernel = [note('GNU', 3, Buffer.from(buildId, 'hex')), note('LNX', 0x101, Buffer.alloc(4))];

test.each<[string, Buffer[], string | undefined]>([
  [
    'behind a note that is aligned to eight bytes',
    [note('Xen', 7, Buffer.alloc(4)), Buffer.alloc(4), note('GNU', 5, Buffer.alloc(16, 2)), ...ofKernel],
    buildId,
  ],
  ['behind a gap of many zeros', [Buffer.alloc(4096), ...ofKernel], buildId],
  ['behind what is no note', [Buffer.alloc(12, 0xff), ...ofKernel], undefined],
  ['in zeros alone', [Buffer.alloc(4097)], undefined],
])('the build-id %s', (_, notes, expected) => {
  expect(findBuildId(Buffer.concat(notes))).toBe(expected);
});

test.each<[string, Buffer]>([
  ['nothing', Buffer.alloc(0)],
  ['a header that is cut', makeElf(buildId).subarray(0, 63)],
  ['another kind of file', Buffer.alloc(4096, 0x41)],
  ['a 32-bit file', patched((elf) => elf.writeUInt8(1, 4))],
  ['a big-endian file', patched((elf) => elf.writeUInt8(2, 5))],
  ['a note of another owner', makeElf(buildId, 'Xen\0')],
  ['a section table behind the end', patched((elf) => elf.writeBigUInt64LE(2n ** 63n, 40))],
  ['section headers of no size', patched((elf) => elf.writeUInt16LE(0, 58))],
  ['a note behind the end', patched((elf) => elf.writeBigUInt64LE(2n ** 62n, elf.length - 40))],
  ['a note that claims to be huge', patched((elf) => elf.writeBigUInt64LE(2n ** 62n, elf.length - 32))],
])('%s has none', async (_what, bytes) => {
  expect(await readBuildId(inMemory(bytes))).toBeUndefined();
});

test('a table of 65,535 notes that all cover the file costs bounded reading', async () => {
  const elf = Buffer.alloc(8 << 20);
  makeElf(buildId).copy(elf, 0, 0, 64);
  elf.writeBigUInt64LE(64n, 40);
  elf.writeUInt16LE(65_535, 60);
  for (let at = 64; at < 64 + 65_535 * 64; at += 64) {
    elf.writeUInt32LE(7, at + 4);
    elf.writeBigUInt64LE(5n << 20n, at + 24);
    elf.writeBigUInt64LE(1n << 20n, at + 32);
  }
  const file = inMemory(elf);
  expect(await readBuildId(file)).toBeUndefined();
  expect(file.readBytes).toBeLessThan(2 << 20);
});

test('broken files never break the reader', async () => {
  const whole = makeElf(buildId);
  const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(changes, fc.nat(whole.length), async (edits, length) => {
      const elf = Buffer.from(whole);
      for (const [at, value] of edits) elf[at] = value;
      const found = await readBuildId(inMemory(elf.subarray(0, length)));
      if (found !== undefined) expect(found).toMatch(/^([0-9a-f]{2}){4,64}$/);
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test('notes of any bytes never break the search', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(() => findBuildId(Buffer.from(bytes))).not.toThrow();
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});
