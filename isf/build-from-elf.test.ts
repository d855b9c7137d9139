import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BadInput } from './bad-input.ts';
import { buildFromElf, type ElfBuildOptions } from './build-from-elf.ts';
import { inMemory } from './byte-source.ts';
import { contentOf, digestsOf } from './fixtures/canonical.ts';
import golden from './fixtures/golden.json' with { type: 'json' };
import type { IsfSummary } from './isf.ts';

const folder = join(import.meta.dirname, 'fixtures');
const fixture = (name: string) => readFileSync(join(folder, `${name}.elf`));

function build(bytes: Buffer, options: ElfBuildOptions = {}) {
  const pieces: Buffer[] = [];
  const summary: IsfSummary = buildFromElf(inMemory(bytes), (piece) => pieces.push(piece), options);
  return { summary, content: contentOf(Buffer.concat(pieces).toString()) };
}

function refusal(bytes: Buffer): BadInput {
  try {
    build(bytes);
  } catch (error) {
    if (error instanceof BadInput) return error;
    throw error;
  }
  throw new Error('it was built');
}

test.each(Object.entries(golden))('%s gives what dwarf2json gives', (name, digests) => {
  const { content } = build(fixture(name), { likeDwarf2json: true });
  expect(digestsOf(content)).toEqual(digests);
});

test.each([
  // dwarf2json ends with "decoding dwarf section str": it has the size of the indexes wrong
  ['strings by index in 64-bit DWARF', 'clang-dwarf5-wide', 'clang-dwarf5'],
  // Go's debug/dwarf knows type units in .debug_types only, and finds only the first of them
  ['type units of DWARF 4', 'gcc-dwarf4-types', 'gcc-dwarf4'],
  ['type units of DWARF 5', 'gcc-dwarf5-types', 'gcc-dwarf5'],
  ['DWARF 3', 'gcc-dwarf3', 'gcc-dwarf2'],
  ['64-bit DWARF', 'gcc-dwarf5-wide', 'gcc-dwarf5'],
  ['types in partial units', 'dwz', 'gcc-dwarf4'],
  ['types described in other units than the variables', 'gcc-lto', 'gcc-dwarf5'],
] as const)('%s: the same types as without', (_, name, plain) => {
  const [found, expected] = [build(fixture(name)).content, build(fixture(plain)).content];
  for (const section of ['user_types', 'enums'] as const) expect(found[section]).toEqual(expected[section]);
});

test.each([
  'gcc-dwarf2',
  'gcc-dwarf4-types',
  'gcc-dwarf5',
  'gcc-dwarf5-types',
  'gcc-dwarf5-wide',
  'clang-dwarf2',
  'clang-dwarf5',
  'clang-dwarf5-wide',
  'aarch64',
  'dwz',
])('variables of functions type no symbol in %s', (name) => {
  const { symbols } = build(fixture(name)).content;
  // a local long, a static double of another file, and a local struct have these names
  expect(symbols.head).toMatchObject({ type: { kind: 'struct', name: 'shared' } });
  expect(symbols.modules).toMatchObject({ type: { kind: 'base', name: 'int' } });
  expect(symbols.linux_banner).toMatchObject({ type: { kind: 'array', count: 29 } });
  expect(symbols).not.toHaveProperty('x');
  expect(symbols).not.toHaveProperty(['part.c']);
});

test('static variables of functions type the symbols that carry a number', () => {
  const { symbols } = build(fixture('gcc-dwarf5')).content;
  const state = Object.entries(symbols).find(([name]) => name.startsWith('state.'));
  expect(state?.[1]).toMatchObject({ type: { kind: 'struct', name: 'list' } });
});

test('an array keeps its elements before a bit field, unlike in dwarf2json', () => {
  const fields = (options: ElfBuildOptions) => build(fixture('gcc-dwarf5'), options).content.user_types.bits;
  expect(fields({})).toMatchObject({ fields: { name: { type: { count: 4 } } } });
  expect(fields({ likeDwarf2json: true })).toMatchObject({ fields: { name: { type: { count: 0 } } } });
});

test('the banner comes from .rodata', () => {
  const { summary, content } = build(fixture('gcc-dwarf5'), { banner: 'another' });
  expect(summary.banner).toBe('Linux version 0.0.0-fixture');
  expect(content.symbols.linux_banner).toMatchObject({
    constant_data: Buffer.from('Linux version 0.0.0-fixture\n\0').toString('base64'),
  });
});

test('the banner that is given stands in where the file has none', () => {
  const { summary, content } = build(fixture('debug-only'), { banner: 'Linux version 1' });
  expect(summary.banner).toBe('Linux version 1');
  expect(content.symbols.linux_banner).toMatchObject({
    constant_data: Buffer.from('Linux version 1\n\0').toString('base64'),
  });
  expect(build(fixture('debug-only')).summary.banner).toBeUndefined();
});

test('the summary counts what was written', () => {
  const { summary, content } = build(fixture('gcc-dwarf5'));
  expect(summary).toMatchObject({
    baseTypes: Object.keys(content.base_types).length,
    userTypes: Object.keys(content.user_types).length,
    enums: Object.keys(content.enums).length,
    symbols: Object.keys(content.symbols).length,
  });
});

const changed = (name: string, at: number, value: number) => {
  const bytes = fixture(name);
  bytes[at] = value;
  return bytes;
};

test.each([
  ['a relocatable file', fixture('relocatable'), /give the linked vmlinux/, 'unsupported'],
  ['a 32-bit file', changed('gcc-dwarf5', 4, 1), /only 64-bit/, 'unsupported'],
  ['a big-endian file', changed('gcc-dwarf5', 5, 2), /only little-endian/, 'unsupported'],
  ['a core', changed('gcc-dwarf5', 16, 4), /ELF type 4/, 'unsupported'],
  ['a file without debug information', fixture('no-debug'), /no DWARF debug information/, 'unsupported'],
  ['a file without symbols', fixture('no-symbols'), /no symbol table/, 'unsupported'],
  ['split DWARF', fixture('split'), /\.dwo files/, 'unsupported'],
  ['a supplementary file', fixture('dwz-multifile'), /supplementary file/, 'unsupported'],
  ['what is no ELF file', Buffer.from('#!/bin/sh\n'), /not an ELF file/, 'damaged'],
  ['nothing', Buffer.alloc(0), /not an ELF file/, 'damaged'],
  ['half a file', fixture('gcc-dwarf5').subarray(0, 2000), /section headers: .* beyond the end/, 'damaged'],
])('%s is refused', (_, bytes, message, kind) => {
  const found = refusal(bytes);
  expect(found.message).toMatch(message);
  expect(found.kind).toBe(kind);
});

test('every fixture is tested', () => {
  const tested = [...Object.keys(golden), 'gcc-dwarf4-types', 'gcc-dwarf5-types', 'clang-dwarf5-wide', 'relocatable'];
  const files = readdirSync(folder).filter((name) => name.endsWith('.elf'));
  expect(files.map((name) => name.slice(0, -4)).sort()).toEqual(
    [...tested, 'no-debug', 'no-symbols', 'split', 'dwz-multifile'].sort(),
  );
});
