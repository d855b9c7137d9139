import { expect, test } from 'vitest';
import { fuzzRuns } from '../tools/fuzz-runs.ts';
import { BadInput } from './bad-input.ts';
import { kind } from './btf/kinds.ts';
import { buildFromKernel, type KernelInput } from './build-from-kernel.ts';
import { BtfWriter, smallKallsyms, smallKernel } from './testing/btf-writer.ts';
import { damaged, fuzzSeed, random } from './testing/damage.ts';

const runs = fuzzRuns(2_000);
const longestMs = 1_000;
const mostBytes = 512 << 20;
const btf = smallKernel().bytes();
const kallsyms = Buffer.from(smallKallsyms);
const whole = { btf, moduleBtf: [], kallsyms, kernelOffset: 0x1a00_0000n, banner: 'b', release: '6.1' };

/** BTF of a module that has types of its own, of the kernel's names, and of the kernel. */
function smallModule(): Buffer {
  const kernel = smallKernel();
  const module = new BtfWriter(kernel.nextId, kernel.stringsEnd);
  const inode = module.struct('ext4_inode', 8, [{ name: 'block', type: 1, offsetBits: 0, bits: 3 }]);
  const task = module.struct('task_struct', 16, [{ name: 'inode', type: module.nextId + 1, offsetBits: 0 }]);
  module.to(kind.pointer, inode);
  module.to(kind.typedef, task, 'task_t');
  module.enum('state', { EMPTY: 0 });
  return module.bytes();
}

/** Time of the processor, for the machine may have more to do. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** Builds from damaged input `runs` times. Only BadInput may be thrown, soon, memory must not pile up, and what is built must be JSON. */
function fuzz(make: (next: () => number) => Partial<KernelInput>): { built: number; refused: number } {
  const next = random(fuzzSeed);
  const rssBefore = process.memoryUsage().rss;
  let [built, refused] = [0, 0];
  for (let run = 0; run < runs; run += 1) {
    const where = `run ${run} with seed ${fuzzSeed}`;
    const input = make(next);
    const begin = cpuMs();
    const pieces: Buffer[] = [];
    let isBuilt = false;
    try {
      buildFromKernel({ ...whole, ...input }, (bytes) => pieces.push(bytes));
      isBuilt = true;
    } catch (error) {
      if (!(error instanceof BadInput)) throw new Error(where, { cause: error });
    }
    const lastedMs = cpuMs() - begin;
    if (lastedMs > longestMs) throw new Error(`${where} lasted ${Math.round(lastedMs)} ms`);
    if (run % 500 === 0) expect(process.memoryUsage().rss - rssBefore, where).toBeLessThan(mostBytes);
    if (isBuilt) built += 1;
    else refused += 1;
    if (isBuilt && run % 50 === 0) JSON.parse(Buffer.concat(pieces).toString());
  }
  return { built, refused };
}

test(`whatever the BTF is, it is built from or refused (seed ${fuzzSeed})`, () => {
  const { built, refused } = fuzz((next) => ({ btf: damaged(btf, next), kallsyms }));
  expect(built).toBeGreaterThan(runs / 100);
  expect(refused).toBeGreaterThan(runs / 10);
});

test(`whatever kallsyms holds, it is built from or refused (seed ${fuzzSeed})`, () => {
  const { built, refused } = fuzz((next) => ({ btf, kallsyms: damaged(kallsyms, next) }));
  expect(built).toBeGreaterThan(runs / 100);
  expect(refused).toBeGreaterThan(runs / 10);
});

test(`whatever the BTF of a module is, it is built from or refused (seed ${fuzzSeed})`, () => {
  const module = smallModule();
  const { built, refused } = fuzz((next) => ({ moduleBtf: [{ name: 'ext4', bytes: damaged(module, next) }] }));
  expect(built).toBeGreaterThan(runs / 100);
  expect(refused).toBeGreaterThan(runs / 10);
});
