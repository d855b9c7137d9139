import { expect, test } from 'vitest';
import { BadInput } from '../bad-input.ts';
import { buildFromElf } from '../build-from-elf.ts';
import { inMemory } from '../byte-source.ts';
import { contentOf } from '../fixtures/canonical.ts';
import { at, byte, dwarfFile, reference, text, type WrittenEntry } from '../fixtures/dwarf-writer.ts';
import { tag } from './codes.ts';

const longestMs = 1_000;

/** What is built, or why it is refused; within a second. */
function outcome(entries: readonly WrittenEntry[]): string {
  const file = dwarfFile(entries);
  const begin = process.cpuUsage();
  try {
    const pieces: Buffer[] = [];
    buildFromElf(inMemory(file), (piece) => pieces.push(piece));
    contentOf(Buffer.concat(pieces).toString());
    return 'built';
  } catch (error) {
    if (!(error instanceof BadInput)) throw error;
    return error.message;
  } finally {
    expect(process.cpuUsage(begin).user / 1_000).toBeLessThan(longestMs);
  }
}

const range = (count: number) => Array.from({ length: count }, (_, index) => index);
const member = (name: string, type: string): WrittenEntry => ({
  tag: tag.member,
  attributes: [text(name), reference(type), byte(at.memberLocation, 0)],
});
const struct = (label: string, members: readonly WrittenEntry[], name = ''): WrittenEntry => ({
  tag: tag.structureType,
  attributes: [...(name ? [text(name)] : []), byte(at.byteSize, 8)],
  children: members,
  label,
});
const pointer = (label: string, to: string): WrittenEntry => ({
  tag: tag.pointerType,
  attributes: [reference(to)],
  label,
});
const typedef = (label: string, to: string): WrittenEntry => ({
  tag: tag.typedef,
  attributes: [text(`${label}_t`), reference(to)],
  label,
});
const array = (label: string, of: string): WrittenEntry => ({
  tag: tag.arrayType,
  attributes: [reference(of)],
  children: [{ tag: tag.subrangeType, attributes: [byte(at.upperBound, 3)] }],
  label,
});
const int: WrittenEntry = {
  tag: tag.baseType,
  attributes: [text('int'), byte(at.encoding, 5), byte(at.byteSize, 4)],
  label: 'int',
};

test.each<[string, readonly WrittenEntry[], RegExp]>([
  ['a struct of an int', [int, struct('s', [member('x', 'int')], 's')], /^built$/],
  ['a struct that holds itself by value', [struct('s', [member('x', 's')], 's')], /^built$/],
  ['a struct without name that holds itself', [struct('s', [member('x', 's')])], /nest more than/],
  [
    'a struct without name that points at itself',
    [pointer('p', 's'), struct('s', [member('x', 'p')])],
    /nest more than/,
  ],
  ['a typedef of itself', [typedef('t', 't'), struct('s', [member('x', 't')], 's')], /nest more than/],
  [
    'typedefs of each other',
    [typedef('t', 'u'), typedef('u', 't'), struct('s', [member('x', 'u')], 's')],
    /nest more than/,
  ],
  ['an array of itself', [array('a', 'a'), struct('s', [member('x', 'a'), member('y', 'a')], 's')], /nest more than/],
  ['a pointer to itself', [pointer('p', 'p'), struct('s', [member('x', 'p')], 's')], /nest more than/],
  ['pointers 10,000 deep', [int, ...chain(10_000), struct('s', [member('x', 'p9999')], 's')], /nest more than/],
  [
    'a reference into the header',
    [struct('s', [{ tag: tag.member, attributes: [text('x'), [at.type, 0x11, [1]]] }], 's')],
    /no entry of its unit lies here/,
  ],
  [
    'a reference beyond the unit',
    [
      struct(
        's',
        [{ tag: tag.member, attributes: [text('x'), [at.type, 0x13 + 1, [255, 255, 255, 0, 0, 0, 0, 0]]] }],
        's',
      ),
    ],
    /where no unit is/,
  ],
  [
    'a variable that is said to be what ends the unit',
    [
      {
        tag: tag.variable,
        attributes: [
          [0x02, 0x18, [9, 3, 0, 16, 0, 0, 0, 0, 0, 0]],
          [0x47, 0x11, [24]],
        ],
      },
    ],
    /at 0x18: a reference leads to a null entry/,
  ],
  ['structs without names that double at each level', doubling(40), /more than 1048576 letters/],
  ['structs nested in each other', [nested(2_000)], /built|nest/],
  [
    'many structs of one long type',
    [int, ...chain(60), ...range(2_000).map((i) => struct('s', [member('x', 'p59')], `s${i}`))],
    /^built$/,
  ],
  [
    'many members of one long type',
    [
      int,
      ...chain(60),
      struct(
        's',
        range(2_000).map((i) => member(`m${i}`, 'p59')),
        's',
      ),
    ],
    /^built$/,
  ],
])('%s', (_, entries, expected) => {
  expect(outcome(entries)).toMatch(expected);
});

function chain(count: number): WrittenEntry[] {
  return range(count).map((index) => pointer(`p${index}`, index === 0 ? 'int' : `p${index - 1}`));
}

/** The definition of each struct holds that of the one before twice. */
function doubling(levels: number): WrittenEntry[] {
  const members = (level: number) => ['a', 'b'].map((name) => member(name, level === 0 ? 'int' : `d${level - 1}`));
  return [int, ...range(levels).map((level) => struct(`d${level}`, members(level)))];
}

function nested(levels: number): WrittenEntry {
  let entry = struct('deepest', []);
  for (let level = 0; level < levels; level += 1) entry = struct(`n${level}`, [entry, member('x', 'deepest')]);
  return entry;
}
