import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ByteRange } from './download.ts';
import { planRanges } from './plan-ranges.ts';

function range(offsetBytes: number, lengthBytes: number): ByteRange {
  return { offsetBytes, lengthBytes };
}

test.each<[string, ByteRange[], ByteRange[]]>([
  ['none', [], []],
  ['an empty one', [range(5, 0)], []],
  ['near ones', [range(0, 10), range(20, 10)], [range(0, 30)]],
  ['far ones', [range(0, 10), range(21, 10)], [range(0, 10), range(21, 10)]],
  ['one within another, out of order', [range(12, 3), range(0, 40)], [range(0, 40)]],
  ['a long one', [range(7, 250)], [range(7, 100), range(107, 100), range(207, 50)]],
])('%s', (_what, parts, expected) => {
  expect(planRanges(parts, 10, 100)).toEqual(expected);
});

test('every byte of every part is in exactly one range, and ranges keep to their size and distance', () => {
  const part = fc.record({ offsetBytes: fc.nat(2000), lengthBytes: fc.nat(300) });
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 12 }),
      fc.nat(50),
      fc.integer({ min: 1, max: 200 }),
      (parts, gap, piece) => {
        const ranges = planRanges(parts, gap, piece);
        const covered = (at: number) =>
          ranges.filter((each) => at >= each.offsetBytes && at < each.offsetBytes + each.lengthBytes).length;
        for (const { offsetBytes, lengthBytes } of parts) {
          if (lengthBytes === 0) continue;
          expect([covered(offsetBytes), covered(offsetBytes + lengthBytes - 1)]).toEqual([1, 1]);
        }
        for (const each of ranges) expect(each.lengthBytes).toBeLessThanOrEqual(piece);
      },
    ),
    { numRuns: 2000 },
  );
});
