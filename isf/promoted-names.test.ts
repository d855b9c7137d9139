import { expect, test } from 'vitest';
import { buildFromElf } from './build-from-elf.ts';
import { buildFromKernel } from './build-from-kernel.ts';
import { inMemory } from './byte-source.ts';
import { contentOf } from './fixtures/canonical.ts';
import { at, byte, dwarfFile, reference, text, type WrittenEntry } from './fixtures/dwarf-writer.ts';
import { smallKallsyms, smallKernel } from './testing/btf-writer.ts';

interface Symbol {
  readonly address: number;
  readonly type: unknown;
}

const list: WrittenEntry = { tag: 0x13, attributes: [text('list_head'), byte(at.byteSize, 16)], label: 'list' };
/** A variable at an address (DW_AT_location: DW_OP_addr). */
const variable = (name: string, address: number): WrittenEntry => ({
  tag: 0x34,
  attributes: [text(name), reference('list'), [0x02, 0x18, [9, 3, address & 0xff, address >> 8, 0, 0, 0, 0, 0, 0]]],
});

function ofElf(symbols: readonly (readonly [string, number])[], variables: readonly WrittenEntry[], exact = false) {
  const file = dwarfFile(
    [list, ...variables],
    symbols.map(([name, address]) => [name, BigInt(address)]),
  );
  const pieces: Buffer[] = [];
  buildFromElf(inMemory(file), (piece) => pieces.push(piece), { likeDwarf2json: exact });
  return contentOf(Buffer.concat(pieces).toString()).symbols as Record<string, Symbol>;
}

function ofKernel(symbols: readonly (readonly [string, number])[]) {
  const lines = symbols.map(([name, address]) => `ffffffff9c${address.toString(16).padStart(6, '0')} b ${name}\n`);
  const kallsyms = smallKallsyms.replace(/^.* tk_core\n/m, '');
  const pieces: Buffer[] = [];
  const input = { btf: smallKernel().bytes(), moduleBtf: [], kallsyms: Buffer.from(`${kallsyms}${lines.join('')}`) };
  const names = { kernelOffset: 0x1a00_0000n, banner: 'Linux version 6.12', release: '6.12' };
  buildFromKernel({ ...input, ...names }, (piece) => pieces.push(piece));
  const isf = JSON.parse(Buffer.concat(pieces).toString()) as { symbols: Record<string, Symbol> };
  return isf.symbols;
}

const struct = (name: unknown) => ({ kind: 'struct', name });

test('a variable that link-time optimization renamed has its plain name too, and its type by both', () => {
  const symbols = ofElf([['tk_core.llvm.1234567890', 0x2000]], [variable('tk_core', 0x2000)]);
  const expected = { address: 0x2000, type: struct('list_head') };
  expect(symbols).toMatchObject({ tk_core: expected, 'tk_core.llvm.1234567890': expected });
});

test('a static variable known by name gets its type from BTF by its plain name', () => {
  const { tk_core: found, 'tk_core.llvm.0a1b': full } = ofKernel([['tk_core.llvm.0a1b', 0x900]]);
  expect(found?.type).toEqual(struct(expect.stringMatching(/^unnamed_/)));
  expect(found?.address).toBe(full?.address);
});

test.each<[string, (readonly [string, number])[]]>([
  [
    'another symbol has',
    [
      ['x', 0x2000],
      ['x.llvm.1', 0x3000],
    ],
  ],
  [
    'two renamed symbols would have',
    [
      ['x.llvm.1', 0x2000],
      ['x.llvm.2', 0x3000],
    ],
  ],
  [
    'two symbols of one name would have',
    [
      ['x.llvm.1', 0x2000],
      ['x.llvm.1', 0x3000],
    ],
  ],
  ['a split function would have', [['x.llvm.1.cold', 0x2000]]],
  [
    'other suffixes leave',
    [
      ['x.cold', 0x2000],
      ['x.isra.0', 0x2100],
      ['x.constprop.0', 0x2200],
      ['x.part.0', 0x2300],
    ],
  ],
  ['is empty', [['.llvm.1', 0x2000]]],
])('no plain name is added that %s', (_, symbols) => {
  const plain = symbols.find(([name]) => name === 'x')?.[1];
  expect(ofElf(symbols, []).x?.address).toBe(plain);
  expect(Object.keys(ofElf(symbols, []))).not.toContain('');
  const found = ofKernel(symbols);
  expect(found.x === undefined).toBe(plain === undefined);
  expect(Object.keys(found)).not.toContain('');
});

test('dwarf2json knows no plain names', () => {
  expect(ofElf([['tk_core.llvm.12', 0x2000]], [], true)).not.toHaveProperty('tk_core');
});
