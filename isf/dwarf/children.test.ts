import { expect, test } from 'vitest';
import { buildFromElf } from '../build-from-elf.ts';
import { inMemory } from '../byte-source.ts';
import { contentOf } from '../fixtures/canonical.ts';
import { at, byte, dwarfFile, reference, text, type WrittenEntry } from '../fixtures/dwarf-writer.ts';
import { tag } from './codes.ts';

/** DW_TAG_LLVM_annotation, which clang makes a child of what it tags. */
const annotation: WrittenEntry = { tag: 0x6000, attributes: [text('btf_decl_tag')] };
/** A struct that is described within another entry and is nobody's member. */
const nested: WrittenEntry = {
  tag: tag.structureType,
  attributes: [text('nested'), byte(at.byteSize, 4)],
  children: [{ tag: tag.member, attributes: [text('inner'), reference('int'), byte(at.memberLocation, 0)] }],
};

function build(entries: readonly WrittenEntry[], likeDwarf2json = false) {
  const pieces: Buffer[] = [];
  buildFromElf(inMemory(dwarfFile(entries)), (piece) => pieces.push(piece), { likeDwarf2json });
  return contentOf(Buffer.concat(pieces).toString());
}

const int: WrittenEntry = {
  tag: tag.baseType,
  attributes: [text('int'), byte(at.encoding, 5), byte(at.byteSize, 4)],
  children: [annotation],
  label: 'int',
};
const member = (name: string, type: string, offset: number, children?: readonly WrittenEntry[]): WrittenEntry => ({
  tag: tag.member,
  attributes: [text(name), reference(type), byte(at.memberLocation, offset)],
  ...(children && { children }),
});
const struct = (name: string, sizeBytes: number, children: readonly WrittenEntry[]): WrittenEntry => ({
  tag: tag.structureType,
  attributes: [...(name === '' ? [] : [text(name)]), byte(at.byteSize, sizeBytes)],
  children,
});
const task = struct('task_struct', 12, [
  annotation,
  member('pid', 'int', 0),
  member('tagged', 'int', 4, [annotation, nested]),
  nested,
  member('last', 'int', 8),
]);

test('a member that has children of its own is a member', () => {
  const { task_struct } = build([int, task]).user_types;
  expect(task_struct).toMatchObject({ fields: { pid: { offset: 0 }, tagged: { offset: 4 }, last: { offset: 8 } } });
  expect(task_struct).not.toHaveProperty('fields.inner');
});

test('dwarf2json leaves such a member out', () => {
  const { task_struct } = build([int, task], true).user_types;
  expect(Object.keys(Object(task_struct).fields)).toEqual(['pid', 'last']);
});

test('unnamed structs that differ only in a member with children are two', () => {
  const unnamed = (name: string) => struct('', 8, [member('a', 'int', 0), member(name, 'int', 4, [annotation])]);
  const { user_types } = build([int, unnamed('b'), unnamed('c')]);
  const fields = Object.values(user_types).map((type) => Object.keys(Object(type).fields).join());
  expect(fields).toContain('a,b');
  expect(fields).toContain('a,c');
});

test('enumerators, dimensions and the types that have children are as without', () => {
  const { user_types, enums } = build([
    int,
    {
      tag: tag.enumerationType,
      attributes: [text('state'), byte(at.byteSize, 4)],
      children: [
        { tag: tag.enumerator, attributes: [text('OFF'), byte(at.constValue, 0)] },
        { tag: tag.enumerator, attributes: [text('ON'), byte(at.constValue, 1)], children: [annotation] },
      ],
    },
    {
      tag: tag.arrayType,
      attributes: [reference('int')],
      children: [{ tag: tag.subrangeType, attributes: [byte(at.upperBound, 3)], children: [annotation] }],
      label: 'array',
    },
    { tag: tag.pointerType, attributes: [reference('int')], children: [annotation], label: 'pointer' },
    { tag: tag.typedef, attributes: [text('int_t'), reference('int')], children: [annotation], label: 'typedef' },
    struct('holder', 32, [member('a', 'array', 0), member('p', 'pointer', 16), member('t', 'typedef', 24)]),
  ]);
  const base = { kind: 'base', name: 'int' };
  expect(enums.state).toMatchObject({ constants: { OFF: 0, ON: 1 } });
  expect(user_types.holder).toMatchObject({
    fields: {
      a: { type: { kind: 'array', count: 4, subtype: base } },
      p: { type: { kind: 'pointer', subtype: base } },
      t: { type: base },
    },
  });
});

test('a member of a type that an ISF has no word for keeps its place', () => {
  const set: WrittenEntry = { tag: 0x20, attributes: [byte(at.byteSize, 8)], label: 'set' };
  const entries = [int, set, struct('s', 12, [member('odd', 'set', 0), member('next', 'int', 8)])];
  const odd = { type: { kind: 'base', name: 'void' }, offset: 0 };
  expect(build(entries).user_types.s).toMatchObject({ fields: { odd, next: { offset: 8 } } });
  expect(build(entries, true).user_types.s).not.toHaveProperty('fields.odd');
});
