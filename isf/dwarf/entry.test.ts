import { expect, test } from 'vitest';
import { buildFromElf } from '../build-from-elf.ts';
import { inMemory } from '../byte-source.ts';
import { contentOf } from '../fixtures/canonical.ts';
import { at, byte, dwarfFile, text, type WrittenEntry } from '../fixtures/dwarf-writer.ts';
import { form, tag } from './codes.ts';
import { afterLeb, unsignedLeb, wideLeb } from './leb.ts';

function build(entries: readonly WrittenEntry[]) {
  const pieces: Buffer[] = [];
  buildFromElf(inMemory(dwarfFile(entries)), (piece) => pieces.push(piece));
  return contentOf(Buffer.concat(pieces).toString());
}

const wide = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return [...bytes];
};

test.each([
  ['data1', form.data1, [200], 200],
  ['data2', form.data2, [0x34, 0x12], 0x1234],
  ['data4', form.data4, [0x78, 0x56, 0x34, 0x82], 0x82345678],
  ['data8', form.data8, wide(-2n), -2],
  ['data8 above 2^53', form.data8, wide(0x7fff_ffff_ffff_ffffn), '#9223372036854775807'],
  ['udata', form.udata, [0xe5, 0x8e, 0x26], 624485],
  ['udata of 64 bits', form.udata, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], -1],
  ['sdata', form.sdata, [0x80, 0x7f], -128],
  [
    'sdata of 64 bits',
    form.sdata,
    [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f],
    '#-9223372036854775808',
  ],
  ['implicit_const', form.implicitConst, [0x7f], -1],
  ['indirect', form.indirect, [form.data2, 1, 2], 0x201],
  ['an expression, which is no constant', form.exprloc, [2, 0x31, 0x32], 0],
])('the value of an enumerator as %s', (_, code, value, expected) => {
  const { enums } = build([
    {
      tag: tag.enumerationType,
      attributes: [text('e'), byte(at.byteSize, 8)],
      children: [{ tag: tag.enumerator, attributes: [text('value'), [at.constValue, code, value]] }],
    },
  ]);
  expect(enums.e).toMatchObject({ constants: { value: expected } });
});

test.each([
  ['string', form.string, [...Buffer.from('called\0')], 'called'],
  ['indirect string', form.indirect, [form.string, ...Buffer.from('called\0')], 'called'],
  ['a string in UTF-8', form.string, [...Buffer.from('größe\0')], 'größe'],
  ['a string of three letters', form.string, [...Buffer.from('abc\0')], 'abc'],
  ['a string of one letter', form.string, [...Buffer.from('a\0')], 'a'],
])('the name of a struct as %s', (_, code, value, expected) => {
  const { user_types } = build([
    { tag: tag.structureType, attributes: [[at.name, code, value], byte(at.byteSize, 8)] },
  ]);
  expect(Object.keys(user_types)).toEqual([expected]);
});

test.each([
  [[0], 0, 1],
  [[0x7f], 127, 1],
  [[0x80, 1], 128, 2],
  [[0xff, 0xff, 0xff, 0xff, 0x0f], 0xffffffff, 5],
  [[0x80, 0x80], 0, 3],
])('LEB128 %j is %d and ends at %d', (bytes, value, end) => {
  expect(unsignedLeb(Buffer.from(bytes), 0)).toBe(value);
  expect(afterLeb(Buffer.from(bytes), 0)).toBe(end);
});

test.each([
  [[0x7f], true, -1n],
  [[0x7f], false, 127n],
  [[0x80, 0x7f], true, -128n],
])('LEB128 %j, signed %s, is %s', (bytes, signed, value) => {
  expect(wideLeb(Buffer.from(bytes), 0, signed)).toBe(value);
});
