import { expect, test } from 'vitest';
import { buildFromKernel } from '../build-from-kernel.ts';
import { BtfWriter, smallKallsyms, smallKernel } from '../testing/btf-writer.ts';
import { unresolvedGlobals } from '../testing/unresolved-globals.ts';
import { Btf } from './btf.ts';
import { globals, typesFor } from './globals.ts';
import { kind } from './kinds.ts';

/** The type that a variable has in the small kernel with some types more. */
function typeOf(name: string, add: (btf: BtfWriter) => void, release = '6.18.1'): unknown {
  const btf = smallKernel();
  add(btf);
  const pieces: Buffer[] = [];
  const kallsyms = Buffer.from(`${smallKallsyms}ffffffff9c000b00 b ${name}\n`);
  const input = { btf: btf.bytes(), moduleBtf: [], kallsyms, kernelOffset: 0x1a00_0000n, banner: 'Linux', release };
  buildFromKernel(input, (piece) => pieces.push(piece));
  const isf = JSON.parse(Buffer.concat(pieces).toString()) as { symbols: Record<string, { type: unknown }> };
  return isf.symbols[name]?.type;
}

const nothing = { kind: 'base', name: 'void' };
const struct = (name: string) => ({ kind: 'struct', name });
const array = (count: number, name: string) => ({ kind: 'array', count, subtype: struct(name) });

const timekeepers = (count: number) => (btf: BtfWriter) => {
  btf.struct('tk_data', 128, []);
  btf.enum('timekeeper_ids', { TIMEKEEPER_CORE: 0, TIMEKEEPERS_MAX: count });
};

test.each<[string, (btf: BtfWriter) => void, unknown]>([
  ['one', timekeepers(1), array(1, 'tk_data')],
  ['nine, with auxiliary clocks', timekeepers(9), array(9, 'tk_data')],
  [
    'as many as the only array of them has, where the constant is missing',
    (btf) => btf.array(btf.to(kind.const, btf.struct('tk_data', 128, [])), 9, 1),
    array(9, 'tk_data'),
  ],
  ['not known where two constants of that name differ', (btf) => [timekeepers(1)(btf), timekeepers(9)(btf)], nothing],
  ['not known where there is no struct tk_data', (btf) => btf.enum('timekeeper_ids', { TIMEKEEPERS_MAX: 1 }), nothing],
])('the timekeepers of Linux 6.17 are %s', (_, add, expected) => {
  expect(typeOf('timekeeper_data', add)).toEqual(expected);
});

const fileSystem = (member: string) => (btf: BtfWriter) => {
  btf.struct('file_system_type', 64, [{ name: member, type: 1, offsetBits: 0 }]);
  btf.struct('hlist_head', 8, []);
};

test.each([
  ['a pointer where they point at the next', 'next', { kind: 'pointer', subtype: struct('file_system_type') }],
  ['a list since 7.2', 'list', struct('hlist_head')],
  ['not known where they have neither', 'tree', nothing],
])('the file systems are %s', (_, member, expected) => {
  expect(typeOf('file_systems', fileSystem(member), '7.2.13')).toEqual(expected);
});

const flags =
  (...counts: number[]) =>
  (btf: BtfWriter) => {
    const flag = btf.struct('taint_flag', 24, []);
    for (const count of counts) btf.array(btf.to(kind.const, flag), count, 1);
  };

test.each<[string, string, number[], unknown]>([
  ['as many as BTF says, whatever the version', '6.1.0', [21], array(21, 'taint_flag')],
  ['as many as BTF says beside an array of unknown length', '6.1.0', [0, 21, 21], array(21, 'taint_flag')],
  ['as many as the version has, where BTF does not say', '5.15.0', [], array(18, 'taint_flag')],
  ['as many as the version has, where BTF says two numbers', '6.1.0', [7, 21], array(19, 'taint_flag')],
  ['not known where neither says', 'small', [], nothing],
  ['not known in a later version than is known here', '9.0.0', [], nothing],
])('the flags of taint are %s', (_, release, counts, expected) => {
  expect(typeOf('taint_flags', flags(...counts), release)).toEqual(expected);
});

test.each([
  ['5.4.0-216-generic', 18],
  ['5.15.0', 18],
  ['6.0.0-rc1', 19],
  ['6.1.0-56-cloud-amd64', 19],
  ['6.12.117+deb12-cloud-amd64', 19],
  ['6.15.1', 20],
  ['7.0', 20],
])('a kernel %s has %i flags of taint', (release, count) => {
  expect(typesFor('taint_flags', release)[1]).toBe(`[${count}]struct taint_flag`);
});

/** BTF that holds whatever the table of globals speaks of. */
function everything(): Btf {
  const btf = new BtfWriter();
  const texts = Object.values(globals).flat();
  const named = (form: RegExp) => new Set(texts.flatMap((text) => form.exec(text)?.slice(1) ?? []));
  const int = btf.int('index', 4);
  const conditions = texts.flatMap((text) => /^with (\w+)\.(\w+):/.exec(text)?.slice(1, 3).join('.') ?? []);
  const members = Map.groupBy(new Set(conditions), (condition) => condition.split('.')[0]);
  for (const name of named(/struct (\w+)/)) {
    const own = (members.get(name) ?? []).map((condition) => condition.slice(name.length + 1));
    const id = btf.struct(
      name,
      8,
      own.map((member) => ({ name: member, type: int, offsetBits: 0 })),
    );
    btf.array(id, 3, int);
  }
  for (const constant of named(/\[([A-Z]\w*)\]/)) btf.enum('', { [constant]: 1 });
  for (const list of named(/\{(.*)\}/)) {
    btf.struct(
      '',
      8,
      list.split(' ').map((name) => ({ name, type: int, offsetBits: 0 })),
    );
  }
  for (const name of named(/^(?:\[\d+\]|\*)*(int|char|unsigned int|long unsigned int)$/)) btf.int(name, 4);
  return new Btf(btf.bytes());
}

test('every type of the table can be read, so that a row is without one only where a kernel is', () => {
  expect(unresolvedGlobals(everything(), '6.12.1', Object.keys(globals))).toEqual([]);
  for (const [name, texts] of Object.entries(globals)) {
    for (const text of texts)
      expect(text, name).toMatch(/^((with \w+\.\w+|before \d+\.\d+): )?(\*|\[(\w+|\?)\])*(\{\w+( \w+)*\}|[\w ]+)$/);
  }
});

test('the rows that a kernel does not resolve are those that it has, each with what was looked for', () => {
  const btf = new Btf(smallKernel().bytes());
  const names = ['init_task', 'modules', 'prb', 'timekeeper_data', 'no_such_row'];
  expect(unresolvedGlobals(btf, '6.17.1', names)).toEqual([
    "prb has no type: the kernel's BTF knows none of *struct printk_ringbuffer",
    "timekeeper_data has no type: the kernel's BTF knows none of [TIMEKEEPERS_MAX]struct tk_data, [?]struct tk_data",
  ]);
});
