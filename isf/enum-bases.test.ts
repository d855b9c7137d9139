import { expect, test } from 'vitest';
import { buildFromElf } from './build-from-elf.ts';
import { buildFromKernel } from './build-from-kernel.ts';
import { inMemory } from './byte-source.ts';
import { EnumBases } from './enum-bases.ts';
import { contentOf } from './fixtures/canonical.ts';
import { at, byte, dwarfFile, text, type WrittenEntry } from './fixtures/dwarf-writer.ts';
import { BtfWriter, smallKallsyms } from './testing/btf-writer.ts';

type Base = readonly [name: string, sizeBytes: number, encoding: 'signed' | 'unsigned' | 'signedChar' | 'unsignedChar'];
type Enum = readonly [sizeBytes: number, value: number];

const encodings = { signed: 5, unsigned: 7, signedChar: 6, unsignedChar: 8 };

function ofDwarf(bases: readonly Base[], enums: readonly Enum[], likeDwarf2json = false) {
  const entries: WrittenEntry[] = bases.map(([name, sizeBytes, encoding]) => ({
    tag: 0x24,
    attributes: [text(name), byte(at.encoding, encodings[encoding]), byte(at.byteSize, sizeBytes)],
  }));
  for (const [index, [sizeBytes, value]] of enums.entries()) {
    entries.push({
      tag: 0x04,
      attributes: [text(`e${index}`), byte(at.byteSize, sizeBytes)],
      children: [{ tag: 0x28, attributes: [text('V'), [at.constValue, 0x0d, [value & 0x7f]]] }],
    });
  }
  const pieces: Buffer[] = [];
  buildFromElf(inMemory(dwarfFile(entries)), (piece) => pieces.push(piece), { likeDwarf2json });
  return contentOf(Buffer.concat(pieces).toString());
}

function ofBtf(bases: readonly Base[], enums: readonly Enum[]) {
  const btf = new BtfWriter();
  for (const [name, sizeBytes, encoding] of bases) btf.int(name, sizeBytes, encoding.startsWith('signed') ? 1 : 0);
  for (const [index, [sizeBytes, value]] of enums.entries()) btf.enum(`e${index}`, { V: value }, value < 0, sizeBytes);
  const pieces: Buffer[] = [];
  const names = { banner: 'Linux version 6.1', release: '6.1' };
  const input = { btf: btf.bytes(), moduleBtf: [], kallsyms: Buffer.from(smallKallsyms), kernelOffset: 0x1a00_0000n };
  buildFromKernel({ ...input, ...names }, (piece) => pieces.push(piece));
  return contentOf(Buffer.concat(pieces).toString());
}

const chars: readonly Base[] = [
  ['char', 1, 'signedChar'],
  ['signed char', 1, 'signedChar'],
  ['unsigned char', 1, 'unsignedChar'],
];
const cases: readonly (readonly [string, readonly Base[], Enum, string])[] = [
  ['one byte, unsigned', chars, [1, 2], 'unsigned char'],
  ['one byte, signed', chars, [1, -2], 'signed char'],
  ['one byte where only a plain char has the sign', [['char', 1, 'signedChar']], [1, -2], 'char'],
  [
    'one byte where a plain char is unsigned too',
    [['char', 1, 'unsignedChar'], ...chars.slice(2)],
    [1, 2],
    'unsigned char',
  ],
  ['one byte of a kernel without any', [], [1, 2], 'unsigned char'],
  ['one byte, signed, of a kernel without any', [], [1, -2], 'signed char'],
  ['two bytes of a kernel without any', [], [2, -2], 'short int'],
  ['eight bytes of a kernel without any', [], [8, 2], 'long unsigned int'],
  ['four bytes by another name', [['unsigned', 4, 'unsigned']], [4, 2], 'unsigned'],
  ['four bytes of a kernel that calls something else an int', [['int', 2, 'signed']], [4, -2], 'void'],
  ['three bytes, which no integer has', [], [3, 2], 'void'],
];

test.each(cases)('an enumeration of %s', (_, bases, found, expected) => {
  for (const isf of [ofDwarf(bases, [found]), ofBtf(bases, [found])]) {
    expect(isf.enums.e0).toMatchObject({ base: expected, size: found[0] });
    expect(isf.base_types[expected]).toMatchObject(
      expected === 'void' ? { size: 0 } : { size: found[0], signed: found[1] < 0 },
    );
  }
});

test('dwarf2json makes enumerations of one byte of nothing, and adds no types', () => {
  const isf = ofDwarf([...chars, ['int', 4, 'signed']], [[1, 2]], true);
  expect(isf.enums.e0).toMatchObject({ base: 'void' });
  expect(Object.keys(isf.base_types).sort()).toEqual(['char', 'int', 'signed char', 'unsigned char', 'void']);
});

test('a kernel that has all integers gets none added', () => {
  const all: readonly Base[] = [
    ...chars,
    ...([2, 4, 8] as const).flatMap((size): Base[] => [
      [`u${size}`, size, 'unsigned'],
      [`s${size}`, size, 'signed'],
    ]),
  ];
  for (const isf of [ofDwarf(all, []), ofBtf(all, [])])
    expect(Object.keys(isf.base_types).filter((name) => name !== 'pointer')).toHaveLength(all.length + 1);
});

test('a pointer is no base of an enumeration', () => {
  expect(ofBtf([['word', 8, 'unsigned']], [[8, 1]]).enums.e0).toMatchObject({ base: 'word' });
});

test('a base is looked at once and not for each enumeration', () => {
  let looked = 0;
  const bases = Array.from({ length: 100 }, (_, index) => ({
    ...{ name: `t${index}`, signed: false, kind: 'int' as const },
    get sizeBytes() {
      looked += 1;
      return 4;
    },
  }));
  const found = new EnumBases(bases, new Set());
  const before = looked;
  for (let each = 0; each < 100; each += 1) expect([found.of(4, false), found.of(16, true)]).toEqual(['t0', 'void']);
  expect(looked).toBe(before);
});
