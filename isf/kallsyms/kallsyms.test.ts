import { expect, test } from 'vitest';
import { smallKallsyms } from '../testing/btf-writer.ts';
import { readKallsyms } from './kallsyms.ts';

const kernelOffset = 0x1a00_0000n;
const read = (...lines: string[]) => readKallsyms(Buffer.from(`${smallKallsyms}${lines.join('\n')}\n`), kernelOffset);

test.each<[string, string[], bigint, boolean]>([
  [
    'the global one, though it stands before static ones',
    ['ffffffff9c001000 D x', 'ffffffff9c002000 d x', 'ffffffff9c003000 b x'],
    0xffff_ffff_8200_1000n,
    false,
  ],
  [
    'the global one, though it stands after static ones',
    ['ffffffff9c001000 d x', 'ffffffff9c002000 t x', 'ffffffff9c003000 T x'],
    0xffff_ffff_8200_3000n,
    false,
  ],
  ['the last of static variables', ['ffffffff9c001000 d x', 'ffffffff9c002000 b x'], 0xffff_ffff_8200_2000n, true],
  [
    'the last static function, though variables stand after it',
    ['ffffffff9c001000 t x', 'ffffffff9c002000 t x', 'ffffffff9c003000 d x'],
    0xffff_ffff_8200_2000n,
    true,
  ],
  [
    'the last, as no per-CPU variable shows that it is global',
    ['0000000000000040 A x', 'ffffffff9c002000 d x'],
    0xffff_ffff_8200_2000n,
    true,
  ],
  ['the weak one', ['ffffffff9c001000 W x', 'ffffffff9c002000 t x'], 0xffff_ffff_8200_1000n, false],
])('of symbols with one name counts %s', (_, lines, address, ambiguous) => {
  const symbols = read(...lines);
  expect(symbols.addresses.get('x')).toBe(address);
  expect(symbols.ambiguous.has('x')).toBe(ambiguous);
});

test.each([
  ['of a module', 'ffffffffc0001000 t ext4_sync\t[ext4]'],
  ['of code made at run time', 'ffffffffc0002000 t bpf_prog_6deef7357e7b4530\t[bpf]'],
  ['of a trampoline', 'ffffffffc0003000 t ftrace_trampoline\t[__builtin__ftrace]'],
])('a symbol %s is left out', (_, line) => {
  expect(read(line)).toEqual(read());
});

test('what lies below the image is not moved by KASLR, and what lies in it is', () => {
  const { addresses } = read('0000000000000000 A fixed_percpu_data', 'ffffffffbfffffff B _end');
  expect(addresses.get('fixed_percpu_data')).toBe(0n);
  expect(addresses.get('runqueues')).toBe(0x1f40n);
  expect(addresses.get('_end')).toBe(0xffff_ffff_a5ff_ffffn);
});

test('a name is any bytes up to the end of the line', () => {
  const names = ['_RNvCs1234_6kernel3foo', 'foo.llvm.123', 'x'.repeat(512), 'λ'];
  const { addresses } = read(...names.map((name) => `ffffffff9c001000 t ${name}`));
  for (const name of names) expect(addresses.has(name)).toBe(true);
  expect(() => read(`ffffffff9c001000 t ${'x'.repeat(513)}`)).toThrow(/kallsyms line 13: a line of 532 bytes/);
});
