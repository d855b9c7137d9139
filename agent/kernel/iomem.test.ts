import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseIomem } from './iomem.ts';

const top = ['00001000-0009ffff : System RAM', '00100000-7fffffff : System RAM'];
const gib = 1n << 30n;

test.each([
  { what: 'an ordinary node', lines: ['  01000000-01ffffff : Kernel code'], leftOut: [] },
  {
    what: 'CXL memory that kmem has added, three entries deep',
    lines: [
      '2080000000-227fffffff : CXL Window 0',
      '  2080000000-227fffffff : region0',
      '    2080000000-227fffffff : dax0.0',
      '      2080000000-227fffffff : System RAM (kmem)',
    ],
    leftOut: [{ kind: 'kmem', bytes: 8n * gib }],
  },
  {
    what: 'virtio-mem in blocks',
    lines: [
      '140000000-333ffffff : virtio0',
      '  140000000-147ffffff : System RAM (virtio_mem)',
      '  148000000-1bfffffff : System RAM (virtio_mem)',
    ],
    leftOut: [{ kind: 'virtio_mem', bytes: 2n * gib }],
  },
  {
    what: 'memory of a driver at the top level',
    lines: ['100000000-13fffffff : System RAM (kmem)'],
    leftOut: [{ kind: 'kmem', bytes: gib }],
  },
  {
    what: 'memory that a window was put around',
    lines: ['100000000-13fffffff : CXL Window 0', '  100000000-13fffffff : System RAM'],
    leftOut: [{ kind: 'nested', bytes: gib }],
  },
  {
    what: 'two kinds',
    lines: ['  100000000-13fffffff : System RAM (kmem)', '  140000000-17fffffff : System RAM (virtio_mem)'],
    leftOut: [
      { kind: 'kmem', bytes: gib },
      { kind: 'virtio_mem', bytes: gib },
    ],
  },
  { what: 'memory within memory that is acquired', lines: ['  00200000-00ffffff : System RAM (kmem)'], leftOut: [] },
  {
    what: 'the same memory twice',
    lines: ['  100000000-13fffffff : System RAM (kmem)', '    100000000-13fffffff : System RAM'],
    leftOut: [{ kind: 'kmem', bytes: gib }],
  },
  {
    what: 'memory that the kernel does not use by itself',
    lines: [
      '100000000-13fffffff : Persistent Memory',
      '140000000-17fffffff : Soft Reserved',
      '00000000-00000fff : Reserved',
    ],
    leftOut: [],
  },
])('$what', ({ lines, leftOut }) => {
  const found = parseIomem([...top, ...lines, ''].join('\n'));
  expect(found.leftOut).toEqual(leftOut);
  expect(found.hidden).toBe(false);
  expect(found.ranges).toEqual([
    { start: 0x1000n, end: 0x9ffffn },
    { start: 0x10_0000n, end: 0x7fff_ffffn },
  ]);
});

test('addresses that the kernel hides are no memory', () => {
  const zeros = ['00000000-00000000 : System RAM', '  00000000-00000000 : System RAM (kmem)'];
  expect(parseIomem(zeros.join('\n'))).toEqual({ ranges: [], hidden: true, leftOut: [] });
});

test('whatever is in the file, kinds are few and no byte counts twice', () => {
  const address = fc.bigInt(0n, (1n << 64n) - 1n).map((value) => value.toString(16));
  const name = fc.constantFrom('System RAM', ...Array.from({ length: 20 }, (_, index) => `System RAM (d${index})`));
  const entry = fc
    .tuple(fc.nat(2), address, address, name)
    .map(([depth, start, end, what]) => `${'  '.repeat(depth)}${start}-${end} : ${what}`);
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 60 }), (lines) => {
      const { leftOut } = parseIomem(lines.join('\n'));
      expect(leftOut.length).toBeLessThanOrEqual(8);
      expect(leftOut.reduce((sum, { bytes }) => sum + bytes, 0n)).toBeLessThanOrEqual(1n << 64n);
      expect(leftOut.every(({ bytes }) => bytes > 0n)).toBe(true);
    }),
  );
});
