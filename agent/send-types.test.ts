import { expect, test } from 'vitest';
import { makeFakeAvml } from './testing/fake-avml.ts';
import { Rig, until } from './testing/rig.ts';

const order = {
  case: 'kernelTypes',
  value: { $typeName: 'kcorder.v1.KernelTypesOrder', transferId: 'transfer-1' },
} as const;

test('kernel types are sent when they are ordered: the open, then BTF and the symbol list', async () => {
  await using rig = new Rig();
  await rig.start(makeFakeAvml(rig.dir, 1));
  await until(() => rig.saw('attached'));
  rig.collector.send(order);
  await until(() => rig.saw('kernel types sent'));
  const [open, ...pieces] = rig.collector.types;
  expect(open).toMatchObject({ case: 'open', value: { transferId: 'transfer-1' } });
  const text = (part: string) =>
    pieces.map(({ case: name, value }) => (name === part ? String(Buffer.from(value as Uint8Array)) : '')).join('');
  expect(text('btf')).toBe('type information');
  expect(text('kallsyms')).toMatch(/^ffffffff81000000 T _stext$/m);
});

test('what has become unreadable since is told, and the agent goes on', async () => {
  await using rig = new Rig();
  await rig.start(makeFakeAvml(rig.dir, 1), { btf: null });
  await until(() => rig.saw('attached'));
  rig.collector.send(order);
  await until(() => rig.saw('kernel types were not sent'));
  expect(rig.collector.types.at(-1)).toMatchObject({
    case: 'refusal',
    value: { message: expect.stringContaining('ENOENT') },
  });
  const beats = rig.collector.heartbeats;
  await until(() => rig.collector.heartbeats > beats);
});
