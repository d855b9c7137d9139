import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fuzzRuns } from '../../tools/fuzz-runs.ts';
import { isBannerOf, isSameKernel } from './same-kernel.ts';

interface Case {
  readonly what: string;
  readonly same: boolean;
  readonly linuxBanner: string;
  readonly procVersion: string;
}

const path = join(import.meta.dirname, 'testing', 'kernel-banners.json');
// The analysis holds itself to the same cases: volatility/test_banner.py.
const cases = JSON.parse(readFileSync(path, 'utf8')) as Case[];

test.each(cases)('a banner: $what: $same', ({ linuxBanner, procVersion, same }) => {
  expect(isBannerOf(linuxBanner, procVersion)).toBe(same);
});

test('no two banners that differ in more than one group at the end are of one kernel', () => {
  const words = fc.array(
    fc.constantFrom('Linux version 6', ' (a@b)', ' (gcc)', ' #1', ' SMP', '(', ')', ' ', '\n', 'x'),
  );
  const banner = words.map((parts) => parts.join(''));
  fc.assert(
    fc.property(banner, banner, (known, rest) => {
      for (const [of, as] of [
        [known + rest, known],
        [known, known + rest],
        [rest, known],
      ] as const) {
        if (!isBannerOf(of, as) || of === as) continue;
        expect(of.startsWith(as)).toBe(true);
        expect(of.slice(as.length)).toMatch(/^ \([^()\n]+\)$/);
        expect(as).toContain(' #');
      }
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test('a banner of a megabyte takes no longer than its length, whatever it looks like', () => {
  const long = `Linux version 6 (${') #1'.repeat(1 << 18)}\n`;
  expect(isBannerOf(`${long} (x)`, long)).toBe(false);
  expect(isBannerOf('Linux version 6 (b@h) (gcc) #1', long)).toBe(false);
});

describe('a build-id', () => {
  const banner = 'Linux version 6 (b@h) (gcc) #1';
  const [one, other] = ['aa'.repeat(20), 'bb'.repeat(20)];
  test.each<[string, string, string, string, boolean]>([
    ['that differs makes it another kernel', one, banner, other, false],
    ['that is equal does not excuse another banner', one, 'Linux version 7 (b@h) (gcc) #1', one, false],
    ['that is equal does not excuse a missing banner', one, '', one, false],
    ['that the symbols do not know does not matter', '', `${banner} (U 6)`, one, true],
    ['that the node does not tell does not matter', one, banner, '', true],
    ['that is none does not matter', one, banner, 'not hex', true],
  ])('%s', (_what, buildId, known, told, same) => {
    expect(isSameKernel({ buildId, banner: known }, { buildId: told, banner })).toBe(same);
  });
});
