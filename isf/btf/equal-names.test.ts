import { expect, test } from 'vitest';
import { buildFromKernel, type KernelInput } from '../build-from-kernel.ts';
import { BtfWriter, smallKallsyms, smallKernel } from '../testing/btf-writer.ts';
import { kind } from './kinds.ts';

interface Isf {
  readonly user_types: Record<string, { size: number; fields: Record<string, { type: unknown }> }>;
  readonly enums: Record<string, { base: string; constants: Record<string, number> }>;
  readonly symbols: Record<string, { type: unknown }>;
}

function build(btf: BtfWriter, changes: Partial<KernelInput> = {}) {
  const pieces: Buffer[] = [];
  const input: KernelInput = {
    btf: btf.bytes(),
    moduleBtf: [],
    kallsyms: Buffer.from(smallKallsyms),
    kernelOffset: 0x1a00_0000n,
    banner: 'Linux version 6.1.0-small',
    release: '6.1.0-small',
    ...changes,
  };
  const { remarks } = buildFromKernel(input, (bytes) => pieces.push(bytes));
  return { isf: JSON.parse(Buffer.concat(pieces).toString()) as Isf, remarks };
}

const struct = (name: string) => ({ kind: 'struct', name });

test('different structs of one name keep their own layouts, and the first has the name', () => {
  const btf = smallKernel();
  const first = btf.struct('irq_info', 8, []);
  const second = btf.struct('irq_info', 16, []);
  const third = btf.to(kind.typedef, btf.struct('', 24, []), 'irq_info');
  const member = (name: string, type: number) => ({ name, type, offsetBits: 0 });
  btf.struct('holder', 8, [
    member('a', first),
    member('b', second),
    member('c', third),
    member('d', btf.to(kind.pointer, second)),
  ]);
  const { user_types: types } = build(btf).isf;
  expect(types.holder?.fields).toMatchObject({
    a: { type: struct('irq_info') },
    b: { type: struct('irq_info___2') },
    c: { type: struct('irq_info___3') },
    d: { type: { kind: 'pointer', subtype: struct('irq_info___2') } },
  });
  const sizes = ['irq_info', 'irq_info___2', 'irq_info___3'].map((name) => types[name]?.size);
  expect(sizes).toEqual([8, 16, 24]);
});

test('a typedef that repeats the name of its struct is that struct', () => {
  const btf = smallKernel();
  const inner = btf.struct('page', 64, []);
  btf.struct('holder', 8, [{ name: 'a', type: btf.to(kind.typedef, inner, 'page'), offsetBits: 0 }]);
  const { user_types: types } = build(btf).isf;
  expect(types.holder?.fields.a?.type).toEqual(struct('page'));
  expect(types).not.toHaveProperty('page___2');
});

test('a name that a distinction would need is left to whom it belongs', () => {
  const btf = smallKernel();
  for (const [name, size] of [
    ['s___2', 1],
    ['s', 2],
    ['s', 3],
    ['s', 4],
  ] as const)
    btf.struct(name, size, []);
  const { user_types: types } = build(btf).isf;
  expect([types.s___2?.size, types.s?.size, types.s___3?.size, types.s___4?.size]).toEqual([1, 2, 3, 4]);
});

test('structs and enumerations of modules get the name of their module where another has theirs', () => {
  const kernel = smallKernel();
  kernel.struct('irq_info', 8, []);
  const second = kernel.struct('irq_info', 16, []);
  const moduleOf = (size: number, constant: string) => {
    const module = new BtfWriter(kernel.nextId, kernel.stringsEnd);
    const options = module.struct('options', size, []);
    const own = module.struct('task_struct', size, []);
    const members = [options, own, second].map((type, index) => ({ name: `m${index}`, type, offsetBits: 0 }));
    module.struct(`holder_${constant}`, 8, members);
    module.enum('state', { [constant]: 1 });
    return module.bytes();
  };
  const moduleBtf = [
    { name: 'xfs', bytes: moduleOf(2, 'X') },
    { name: 'ext4', bytes: moduleOf(1, 'E') },
  ];
  const { user_types: types, enums } = build(kernel, { moduleBtf }).isf;
  expect(types.task_struct?.size).toBe(128);
  expect(types.holder_E?.fields).toMatchObject({
    m0: { type: struct('options') },
    m1: { type: struct('task_struct___ext4') },
    m2: { type: struct('irq_info___2') },
  });
  expect(types.holder_X?.fields).toMatchObject({
    m0: { type: struct('options___xfs') },
    m1: { type: struct('task_struct___xfs') },
  });
  expect([types.options?.size, types.options___xfs?.size]).toEqual([1, 2]);
  expect([types.task_struct___ext4?.size, types.task_struct___xfs?.size]).toEqual([1, 2]);
  expect(enums).toMatchObject({ state___ext4: { constants: { E: 1 } }, state___xfs: { constants: { X: 1 } } });
  expect(build(kernel, { moduleBtf: moduleBtf.toReversed() }).isf).toEqual(build(kernel, { moduleBtf }).isf);
});

test('before enumerations said whether they are signed, small negative numbers show it', () => {
  const btf = new BtfWriter();
  btf.int('int', 4, 1);
  btf.int('unsigned int', 4);
  btf.enum('errors', { NONE: 0, AGAIN: -11 });
  btf.enum('bits', { FIRST: 1, LAST: 0x80000000 });
  const { enums } = build(btf).isf;
  expect(enums.errors).toMatchObject({ base: 'int', constants: { AGAIN: -11 } });
  expect(enums.bits).toMatchObject({ base: 'unsigned int', constants: { LAST: 0x80000000 } });
});

test('a variable whose name several static symbols have stays without a type, and is told of', () => {
  const kallsyms = Buffer.from(`${smallKallsyms}ffffffff9c000a00 d tk_core\n`);
  const { isf, remarks } = build(smallKernel(), { kallsyms });
  expect(isf.symbols.tk_core?.type).toEqual({ kind: 'base', name: 'void' });
  expect(remarks).toContain('tk_core has no type: several static symbols have that name');
});

test('a kernel whose per-CPU variables lie in the image has their types too', () => {
  const lines = smallKallsyms.replace('0000000000001f40 A runqueues', 'ffffffff9d001f40 d runqueues');
  const kallsyms = Buffer.from(`${lines}ffffffff9d000000 D __per_cpu_start\n`);
  expect(build(smallKernel(), { kallsyms }).isf.symbols.runqueues?.type).toEqual(struct('task_struct'));
});
