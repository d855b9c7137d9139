import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync, zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { buildFromElf } from '../build-from-elf.ts';
import { type ByteSource, inMemory } from '../byte-source.ts';
import { contentOf } from '../fixtures/canonical.ts';
import { elfOf, symbolSections } from '../fixtures/elf-writer.ts';
import { readSections } from './elf-file.ts';
import { neededParts } from './needed-parts.ts';
import { sectionBytes } from './section-bytes.ts';
import { SymbolTable } from './symbol-table.ts';

const part = (name: string, bytes: Buffer, more: object = {}) => ({ name, bytes, ...more });
const readOnly = (file: Buffer, name: string) => {
  const elf = inMemory(file);
  const section = readSections(elf).find((candidate) => candidate.name === name);
  if (!section) throw new Error(`no ${name}`);
  return sectionBytes(elf, section)
    .read(0, 1 << 20)
    .toString();
};

test.each([
  ['as they are', false],
  ['with their numbers in the first section header', true],
])('sections are read %s', (_, extended) => {
  const file = elfOf([part('.a', Buffer.from('one')), part('.b', Buffer.from('two'))], extended);
  const [, ...sections] = readSections(inMemory(file));
  expect(sections.map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([
    ['.a', 3],
    ['.b', 3],
    ['.shstrtab', 17],
  ]);
});

const compressed = (method: number, bytes: Buffer, sizeBytes: number) => {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(method, 0);
  header.writeBigUInt64LE(BigInt(sizeBytes), 8);
  return part('.debug_str', Buffer.concat([header, bytes]), { flags: 0x800 });
};
const older = (bytes: Buffer, sizeBytes: number) => {
  const header = Buffer.from('ZLIB\0\0\0\0\0\0\0\0');
  header.writeUInt32BE(sizeBytes, 8);
  return part('.zdebug_str', Buffer.concat([header, bytes]));
};
const words = Buffer.from('some words, some words, some words');

test.each([
  ['zlib', compressed(1, deflateSync(words), words.length)],
  ['zstd', compressed(2, zstdCompressSync(words), words.length)],
  ['the older form of zlib', older(deflateSync(words), words.length)],
])('a section that is compressed by %s is inflated', (_, section) => {
  expect(readOnly(elfOf([section]), section.name)).toBe(words.toString());
});

const zeros = Buffer.alloc(64 << 20);
test.each([
  ['an unknown method', compressed(3, words, 10), /method 3 is unknown/],
  ['a header that is cut', part('.debug_str', Buffer.alloc(10), { flags: 0x800 }), /header is cut/],
  ['bytes that are none of zlib', compressed(1, words, 10), /cannot be decompressed/],
  ['bytes that are none of zstd', compressed(2, words, 10), /cannot be decompressed/],
  ['more bytes than declared', compressed(1, deflateSync(words), 3), /cannot be decompressed/],
  ['fewer bytes than declared', compressed(2, zstdCompressSync(words), 40), /holds 34 bytes instead of 40/],
  ['a bomb that declares itself', compressed(1, deflateSync(zeros), zeros.length), /claim to hold 67108864/],
  ['a bomb that does not', compressed(2, zstdCompressSync(zeros), 1000), /cannot be decompressed/],
  ['a size above all limits', compressed(1, words, 2 ** 40), /are too many/],
  ['an older header without its name', part('.zdebug_str', Buffer.alloc(20)), /ZLIB header is missing/],
])('%s is refused', (_, section, message) => {
  const begin = process.cpuUsage();
  expect(() => readOnly(elfOf([section]), section.name)).toThrow(message);
  expect(process.cpuUsage(begin).user / 1_000).toBeLessThan(1_000);
});

test.each([
  ['a section beyond the end', elfOf([part('.a', words, { sizeBytes: 2 ** 50 })]), /beyond the file's end/],
  ['a section of more than 2^64 bytes', elfOf([part('.a', words, { sizeBytes: 2 ** 63 })]), /beyond the file's end/],
])('%s is refused when it is read', (_, file, message) => {
  expect(() => readOnly(file, '.a')).toThrow(message);
});

test('symbols are read by index', () => {
  const elf = inMemory(elfOf(symbolSections([['init_task', 0xffffffff81000000n]])));
  const table = new SymbolTable(elf, readSections(elf));
  expect([table.count, table.name(0), table.name(1), table.address(1)]).toEqual([
    2,
    '',
    'init_task',
    0xffffffff81000000n,
  ]);
  expect([table.isPlace(0), table.isPlace(1)]).toEqual([false, true]);
});

const [symbols, strings] = symbolSections() as [ReturnType<typeof part>, ReturnType<typeof part>];
test.each([
  ['no symbol table', [part('.a', words)], /no symbol table/],
  ['names that do not exist', [{ ...symbols, link: 9 }, strings], /section 9, of its names/],
  ['half a symbol', [{ ...symbols, bytes: symbols.bytes.subarray(0, 30) }, strings], /no whole symbols/],
])('%s is refused', (_, sections, message) => {
  const elf = inMemory(elfOf(sections));
  expect(() => new SymbolTable(elf, readSections(elf))).toThrow(message);
});

const fixture = readFileSync(join(import.meta.dirname, '../fixtures/clang-dwarf5.elf'));
const headers = [
  { offsetBytes: 0, lengthBytes: 64 },
  { offsetBytes: Number(fixture.readBigUInt64LE(40)), lengthBytes: fixture.readUInt16LE(60) * 64 },
  ...readSections(inMemory(fixture)).flatMap(({ name, offsetBytes, sizeBytes }) =>
    name === '.shstrtab' ? [{ offsetBytes, lengthBytes: sizeBytes }] : [],
  ),
];

/** The file, of which only some parts can be read. */
function partsOf(parts: readonly { offsetBytes: number; lengthBytes: number }[]): ByteSource {
  return {
    sizeBytes: fixture.length,
    read(offset, length) {
      const holds = (part: { offsetBytes: number; lengthBytes: number }) =>
        part.offsetBytes <= offset && part.offsetBytes + part.lengthBytes >= offset + length;
      if (!parts.some(holds)) throw new Error(`${length} bytes at ${offset} were not asked for`);
      return fixture.subarray(offset, offset + length);
    },
  };
}

test('the needed parts are found by the headers alone, and enough to build from', () => {
  const parts = neededParts(partsOf(headers));
  const names =
    '.debug_abbrev .debug_addr .debug_info .debug_line_str .debug_str .debug_str_offsets .rodata .strtab .symtab';
  expect(parts.map(({ name }) => name).sort()).toEqual(names.split(' '));
  const pieces: Buffer[] = [];
  buildFromElf(partsOf([...headers, ...parts]), (piece) => pieces.push(piece));
  expect(Object.keys(contentOf(Buffer.concat(pieces).toString()).symbols)).toContain('linux_banner');
});
