import { expect, test } from 'vitest';
import { BadInput } from './bad-input.ts';
import { buildFromKernel } from './build-from-kernel.ts';
import { smallKallsyms, smallKernel } from './testing/btf-writer.ts';
import { damaged, fuzzSeed, random } from './testing/damage.ts';

const runs = 20_000;
const longestMs = 1_000;
const btf = smallKernel().bytes();
const kallsyms = Buffer.from(smallKallsyms);

/** Builds from damaged input `runs` times. Only BadInput may be thrown, and what is built must be JSON. */
function fuzz(make: (next: () => number) => { btf: Buffer; kallsyms: Buffer }): { built: number; refused: number } {
  const next = random(fuzzSeed);
  let [built, refused] = [0, 0];
  for (let run = 0; run < runs; run += 1) {
    const input = make(next);
    const begin = performance.now();
    const pieces: Buffer[] = [];
    try {
      buildFromKernel({ ...input, moduleBtf: [], kernelOffset: 0x1a00_0000n, banner: 'b', release: 'r' }, (bytes) =>
        pieces.push(bytes),
      );
      built += 1;
    } catch (error) {
      if (!(error instanceof BadInput)) throw new Error(`run ${run} with seed ${fuzzSeed}`, { cause: error });
      refused += 1;
      continue;
    }
    if (run % 50 === 0) JSON.parse(Buffer.concat(pieces).toString());
    expect(performance.now() - begin, `run ${run} with seed ${fuzzSeed}`).toBeLessThan(longestMs);
  }
  return { built, refused };
}

test(`whatever the BTF is, it is built from or refused (seed ${fuzzSeed})`, { timeout: 120_000 }, () => {
  const { built, refused } = fuzz((next) => ({ btf: damaged(btf, next), kallsyms }));
  expect(built).toBeGreaterThan(runs / 100);
  expect(refused).toBeGreaterThan(runs / 10);
});

test(`whatever kallsyms holds, it is built from or refused (seed ${fuzzSeed})`, { timeout: 120_000 }, () => {
  const { built, refused } = fuzz((next) => ({ btf, kallsyms: damaged(kallsyms, next) }));
  expect(built).toBeGreaterThan(runs / 100);
  expect(refused).toBeGreaterThan(runs / 10);
});
