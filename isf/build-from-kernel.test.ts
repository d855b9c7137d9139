import { expect, test } from 'vitest';
import { kind } from './btf/kinds.ts';
import { buildFromKernel, type KernelInput } from './build-from-kernel.ts';
import { BtfWriter, smallKallsyms, smallKernel } from './testing/btf-writer.ts';

const input: KernelInput = {
  btf: smallKernel().bytes(),
  moduleBtf: [],
  kallsyms: Buffer.from(smallKallsyms),
  kernelOffset: 0x1a00_0000n,
  banner: 'Linux version 6.1.0-small',
  release: '6.1.0-small',
};

interface Isf {
  readonly metadata: unknown;
  readonly base_types: Record<string, unknown>;
  readonly user_types: Record<
    string,
    { size: number; kind: string; fields: Record<string, { type: unknown; offset: number }> }
  >;
  readonly enums: Record<string, unknown>;
  readonly symbols: Record<string, { address: number; type: unknown; constant_data?: string }>;
}

function build(changes: Partial<KernelInput> = {}) {
  const pieces: Buffer[] = [];
  const summary = buildFromKernel({ ...input, ...changes }, (bytes) => pieces.push(bytes));
  const text = Buffer.concat(pieces).toString('utf8');
  return { summary, text, isf: JSON.parse(text) as Isf };
}

test('types are as an ISF has them', () => {
  const { isf } = build();
  expect(isf.base_types).toMatchObject({
    int: { size: 4, signed: true, kind: 'int', endian: 'little' },
    char: { kind: 'char', signed: true },
    _Bool: { kind: 'bool', signed: true },
    double: { kind: 'float', size: 8 },
    void: { size: 0 },
    pointer: { size: 8, signed: false },
  });
  const { task_struct: task } = isf.user_types;
  const unnamed = { kind: 'struct', name: expect.stringMatching(/^unnamed_[0-9a-f]{16}$/) };
  expect(task).toEqual({
    size: 128,
    kind: 'struct',
    fields: {
      tasks: { type: { kind: 'struct', name: 'list_head' }, offset: 0 },
      comm: { type: { kind: 'array', count: 16, subtype: { kind: 'base', name: 'char' } }, offset: 16 },
      unnamed_field_0: { type: unnamed, offset: 32, anonymous: true },
      unnamed_field_1: { type: { ...unnamed, kind: 'union' }, offset: 40, anonymous: true },
      pid: { type: { kind: 'base', name: 'int' }, offset: 48 },
      in_execve: {
        type: { kind: 'bitfield', bit_length: 1, bit_position: 3, type: { kind: 'base', name: 'unsigned int' } },
        offset: 52,
      },
      state: { type: { kind: 'enum', name: 'state' }, offset: 56 },
      flags: { type: { kind: 'enum', name: 'flags' }, offset: 64 },
    },
  });
  const unnamedName = Object(task?.fields.unnamed_field_0?.type).name as string;
  expect(isf.user_types[unnamedName]).toEqual(isf.user_types.pair_t);
  expect(isf.enums).toMatchObject({
    state: { size: 4, base: 'unsigned int', constants: { RUNNING: 0, DEAD: 0x8000_0000 } },
    flags: { size: 8, constants: { ALL: -1 } },
  });
  const signed = Object.entries(isf.enums).find(([name]) => name.startsWith('unnamed_'))?.[1];
  expect(signed).toMatchObject({ base: 'int', constants: { LEFT: -1, RIGHT: 1 } });
});

test('symbols have link-time addresses, and those known by name have types', () => {
  const { isf, summary } = build();
  expect(isf.symbols).toMatchObject({
    runqueues: { address: 0x1f40, type: { kind: 'struct', name: 'task_struct' } },
    schedule: { type: { kind: 'base', name: 'void' } },
    init_task: { type: { kind: 'struct', name: 'task_struct' } },
    modules: { type: { kind: 'struct', name: 'list_head' } },
    tk_core: { type: { kind: 'struct', name: expect.stringMatching(/^unnamed_/) } },
    prb: { type: { kind: 'base', name: 'void' } },
  });
  expect(build().text).toMatch(/"_stext":.*"address":18446744071578845184\}/);
  expect(isf.symbols).not.toHaveProperty('ext4_sync');
  expect(Buffer.from(isf.symbols.linux_banner?.constant_data ?? '', 'base64').toString()).toBe(
    'Linux version 6.1.0-small\n\0',
  );
  expect(summary).toMatchObject({ banner: 'Linux version 6.1.0-small', symbols: 11 });
  expect(summary.remarks).toEqual([expect.stringContaining('prb has no type')]);
});

test('names a producer and sources that Volatility accepts', () => {
  const { metadata } = build().isf;
  expect(metadata).toEqual({
    linux: { symbols: [{ name: 'kallsyms' }], types: [{ name: 'btf' }] },
    producer: { name: 'dwarf2json', version: expect.stringMatching(/^\d+\.\d+\.\d+$/), builder: 'kcorder' },
    format: '6.2.0',
  });
});

test('another boot of the same kernel gives the same bytes', () => {
  const moved = smallKallsyms.replace(/^ffffffff9/gm, 'ffffffffa').replace('ext4_sync\t[ext4]', 'xfs_sync\t[xfs]');
  const text = build({ kallsyms: Buffer.from(moved), kernelOffset: 0x2a00_0000n }).text;
  expect(text).toBe(build().text);
});

test("types of a module are added, and never take the place of the kernel's", () => {
  const kernel = smallKernel();
  const module = new BtfWriter(kernel.nextId, kernel.stringsEnd);
  module.struct('task_struct', 1, []);
  const own = module.struct('ext4_inode', 8, [{ name: 'block', type: 1, offsetBits: 0 }]);
  module.to(kind.pointer, own);
  const { isf } = build({ moduleBtf: [{ name: 'ext4', bytes: module.bytes() }] });
  expect(isf.user_types.task_struct?.size).toBe(128);
  expect(isf.user_types.ext4_inode?.fields.block).toEqual({ type: { kind: 'base', name: 'int' }, offset: 0 });
});

test('a per-CPU variable gives its type to no other symbol of its name', () => {
  const kallsyms = Buffer.from(smallKallsyms.replace('0000000000001f40 A runqueues', 'ffffffff9c000900 d runqueues'));
  expect(build({ kallsyms }).isf.symbols.runqueues?.type).toEqual({ kind: 'base', name: 'void' });
});

const lines = smallKallsyms.split('\n');
const without = (...names: string[]) =>
  Buffer.from(lines.filter((line) => !names.some((name) => line.endsWith(` ${name}`))).join('\n'));

test.each<[string, Partial<KernelInput>, 'damaged' | 'unsupported', RegExp]>([
  [
    'hidden addresses',
    { kallsyms: Buffer.from(smallKallsyms.replace(/^[0-9a-f]{16}/gm, '0'.repeat(16))) },
    'unsupported',
    /CAP_SYSLOG/,
  ],
  [
    'no data symbols',
    { kallsyms: without('init_task', 'init_mm', 'init_uts_ns', 'init_pid_ns') },
    'unsupported',
    /CONFIG_KALLSYMS_ALL.*init_task/,
  ],
  ['no start of the text', { kallsyms: without('_stext') }, 'damaged', /no _stext/],
  ['the offset of another boot', { kernelOffset: 0x0a00_0000n }, 'damaged', /not of one boot/],
  ['no symbols at all', { kallsyms: Buffer.alloc(0) }, 'damaged', /no symbols/],
  [
    'a line that is none',
    { kallsyms: Buffer.from('hello, this is no symbol list at all\n') },
    'damaged',
    /kallsyms line 1: /,
  ],
  [
    'a line that is too long',
    { kallsyms: Buffer.from(`${'a'.repeat(4096)}\n`) },
    'damaged',
    /kallsyms line 1: a line of 4096 bytes/,
  ],
  [
    'a list that is cut',
    { kallsyms: Buffer.from(smallKallsyms.slice(0, -30)) },
    'damaged',
    /kallsyms line 12: the list is cut off/,
  ],
  [
    'an offset that KASLR never makes',
    { kernelOffset: 0x1a00_1000n },
    'damaged',
    /KERNELOFFSET: 0x1a001000 is no offset/,
  ],
  ['an offset below 0', { kernelOffset: -0x20_0000n }, 'damaged', /KERNELOFFSET: -0x200000 is no offset/],
  [
    'a start of the image between the places where one can be',
    { kallsyms: Buffer.from(`ffffffff9b001000 T _text\n${smallKallsyms}`) },
    'damaged',
    /_text is linked to 0xffffffff81001000/,
  ],
  ['no BTF', { btf: Buffer.from('no BTF') }, 'damaged', /BTF: this is no BTF/],
  ['BTF that is cut', { btf: input.btf.subarray(0, 200) }, 'damaged', /BTF at 0x8/],
])('%s: refused, with what and where', (_, changes, found, message) => {
  expect(() => build(changes)).toThrow(
    expect.objectContaining({ name: 'BadInput', kind: found, message: expect.stringMatching(message) }),
  );
});

function broken(make: (btf: BtfWriter) => void): Buffer {
  const btf = smallKernel();
  make(btf);
  return btf.bytes();
}

test.each<[string, (btf: BtfWriter) => void, RegExp]>([
  [
    'a typedef of itself',
    (btf) => btf.struct('s', 8, [{ name: 'f', type: btf.to(kind.typedef, btf.nextId, 't'), offsetBits: 0 }]),
    /chain or a circle/,
  ],
  [
    'an array of itself',
    (btf) => btf.struct('s', 8, [{ name: 'f', type: btf.array(btf.nextId, 2, 1), offsetBits: 0 }]),
    /chain or a circle/,
  ],
  [
    'an unnamed struct in itself',
    (btf) => btf.struct('', 8, [{ name: 'f', type: btf.nextId, offsetBits: 0 }]),
    /chain or a circle/,
  ],
  [
    'a type that is not there',
    (btf) => btf.struct('s', 8, [{ name: 'f', type: 9_999_999, offsetBits: 0 }]),
    /type 9999999, and there is none/,
  ],
  [
    'a name beyond the strings',
    (btf) =>
      btf.add('', kind.variable, 0, 1, [1]) &&
      btf.struct('s', 8, [{ name: 'f', type: 1, offsetBits: 0 }]) &&
      btf.add('x'.repeat(2000), kind.struct, 0, 1, []),
    /no end within 1024/,
  ],
  ['a kind that nobody knows', (btf) => btf.add('x', 31, 0, 0, []), /kind 31/],
  [
    'a section as the type of a member',
    (btf) => btf.struct('s', 8, [{ name: 'f', type: btf.add('x', kind.dataSection, 0, 0, []), offsetBits: 0 }]),
    /cannot be referred to/,
  ],
])('%s: refused, with what and where', (_, make, message) => {
  expect(() => build({ btf: broken(make) })).toThrow(
    expect.objectContaining({ name: 'BadInput', message: expect.stringMatching(message) }),
  );
});

test('input that grows beyond measure is refused', () => {
  const btf = broken((writer) => {
    const long = `n${'x'.repeat(900)}`;
    const members = Array.from({ length: 1000 }, (_, index) => ({ name: `${long}${index}`, type: 1, offsetBits: 0 }));
    const first = writer.struct('grows', 8, members);
    // The same bytes of names and members, as the definitions of 300 unions.
    for (let index = 0; index < 300; index += 1) writer.struct(`u${index}`, 8, members.slice(0, 500), kind.union);
    writer.to(kind.pointer, first);
  });
  expect(() => build({ btf })).toThrow(/grow to more than 128 MiB/);
});

test('one struct that grows beyond measure is refused while it grows', () => {
  const btf = broken((writer) => {
    const long = writer.struct(`s${'\u0001'.repeat(1000)}`, 8, []);
    const members = Array.from({ length: 0xffff }, (_, index) => ({
      name: `m${index % 100}`,
      type: long,
      offsetBits: 0,
    }));
    writer.struct('grows', 8, members);
  });
  expect(btf.length).toBeLessThan(1 << 20);
  expect(() => build({ btf })).toThrow(/grow to more than 128 MiB/);
});
