import { create } from '@bufbuild/protobuf';
import { ProcessSchema } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { treeOf } from './process-tree.ts';

const shapeOf = (links: readonly (readonly [pid: number, ppid: number])[]) =>
  treeOf(links.map(([pid, ppid]) => create(ProcessSchema, { pid, ppid }))).map(({ process, depth }) => [
    process.pid,
    depth,
  ]);

test.each([
  [
    'children stand below their parent, siblings by pid',
    [
      [3, 1],
      [2, 1],
      [1, 0],
      [4, 2],
    ],
    [
      [1, 0],
      [2, 1],
      [4, 2],
      [3, 1],
    ],
  ],
  [
    'a process whose parent is elsewhere begins a tree',
    [
      [9, 7],
      [5, 4],
    ],
    [
      [5, 0],
      [9, 0],
    ],
  ],
  [
    'a process that is its own parent begins a tree',
    [
      [5, 5],
      [6, 5],
    ],
    [
      [5, 0],
      [6, 1],
    ],
  ],
  [
    'a ring is entered at its lowest pid',
    [
      [8, 9],
      [9, 8],
      [1, 0],
    ],
    [
      [1, 0],
      [8, 0],
      [9, 1],
    ],
  ],
  [
    'a pid that comes twice is shown twice, its children once',
    [
      [5, 0],
      [5, 0],
      [6, 5],
    ],
    [
      [5, 0],
      [6, 1],
      [5, 0],
    ],
  ],
  ['no processes', [], []],
] as const)('%s', (_what, links, shape) => {
  expect(shapeOf(links)).toEqual(shape);
});

test('whatever the links, every process is there exactly once', () => {
  const pid = fc.integer({ min: 0, max: 12 });
  fc.assert(
    fc.property(fc.array(fc.record({ pid, ppid: pid }), { maxLength: 30 }), (links) => {
      const processes = links.map((link) => create(ProcessSchema, link));
      const shown = treeOf(processes).map(({ process }) => process);
      expect(shown.length).toBe(processes.length);
      expect(new Set(shown)).toEqual(new Set(processes));
    }),
    { numRuns: 500 },
  );
});

test('a chain of 20,000 processes does not exhaust the stack', () => {
  const links = Array.from({ length: 20_000 }, (_, index) => [index + 1, index] as const);
  expect(shapeOf(links).at(-1)).toEqual([20_000, 19_999]);
});

test.each([
  ["two pids that are each other's parents", (index: number) => [1 + (index % 2), 2 - (index % 2)] as const],
  ['two pids, one the parent of the other', (index: number) => [1 + (index % 2), index % 2] as const],
])('50,000 processes of %s are gone through once', (_what, linkOf) => {
  expect(shapeOf(Array.from({ length: 50_000 }, (_, index) => linkOf(index)))).toHaveLength(50_000);
});
