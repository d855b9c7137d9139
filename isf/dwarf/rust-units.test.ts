import { expect, test } from 'vitest';
import { buildFromElf } from '../build-from-elf.ts';
import { inMemory } from '../byte-source.ts';
import { contentOf } from '../fixtures/canonical.ts';
import { at, byte, dwarfFile, reference, text, type WrittenEntry } from '../fixtures/dwarf-writer.ts';
import { tag } from './codes.ts';

const namespace = 0x39;
const language = 0x13;
const c99 = 0x0c;
const rust = 0x1c;

const base = (name: string, sizeBytes: number, encoding: number): WrittenEntry => ({
  tag: tag.baseType,
  attributes: [text(name), byte(at.encoding, encoding), byte(at.byteSize, sizeBytes)],
  label: name,
});
const struct = (name: string, sizeBytes: number, member: string, type: string): WrittenEntry => ({
  tag: tag.structureType,
  attributes: [text(name), byte(at.byteSize, sizeBytes)],
  label: name,
  children: [{ tag: tag.member, attributes: [text(member), reference(type), byte(at.memberLocation, 0)] }],
});
/** A variable at 0x2000. */
const variable = (type: string): WrittenEntry => ({
  tag: tag.variable,
  attributes: [text('init_fs'), reference(type), [0x02, 0x18, [9, 3, 0, 0x20, 0, 0, 0, 0, 0, 0]]],
});
/** The output of bindgen for a struct whose members it cannot express (dwarf2json#63). */
const bindings: WrittenEntry = {
  tag: namespace,
  attributes: [text('bindings')],
  children: [base('u8', 1, 7), struct('fs_struct', 0, '_unused', 'u8'), struct('Opaque<()>', 1, '__0', 'u8')],
};

function build(written: WrittenEntry['attributes'][number]) {
  const kernel = [base('int', 4, 5), struct('fs_struct', 56, 'users', 'int'), variable('fs_struct')];
  const file = dwarfFile(kernel, [['init_fs', 0x2000n]], { entries: [bindings, variable('u8')], language: written });
  const pieces: Buffer[] = [];
  buildFromElf(inMemory(file), (piece) => pieces.push(piece));
  return contentOf(Buffer.concat(pieces).toString());
}

test.each<[string, WrittenEntry['attributes'][number]]>([
  ['one byte', byte(language, rust)],
  ['two bytes', [language, 0x05, [rust, 0]]],
  ['a LEB128', [language, 0x0f, [rust]]],
  ['a constant of the abbreviation', [language, 0x21, [rust]]],
])("structs of Rust do not take the place of the kernel's, whose language is %s", (_, written) => {
  const { user_types: types, base_types: bases, symbols } = build(written);
  expect(Object.keys(types)).toEqual(['fs_struct']);
  expect(types.fs_struct).toMatchObject({ size: 56, fields: { users: { offset: 0 } } });
  expect(bases).not.toHaveProperty('u8');
  expect(symbols.init_fs).toMatchObject({ type: { kind: 'struct', name: 'fs_struct' } });
});

test('the same in a unit of C is the last of its name, as in dwarf2json', () => {
  expect(build(byte(language, c99)).user_types.fs_struct).toMatchObject({ size: 0, fields: { _unused: {} } });
});
