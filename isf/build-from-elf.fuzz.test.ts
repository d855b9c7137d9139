import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fuzzRuns } from '../tools/fuzz-runs.ts';
import { BadInput } from './bad-input.ts';
import { buildFromElf } from './build-from-elf.ts';
import { inMemory } from './byte-source.ts';
import { type ElfSection, readSections } from './elf/elf-file.ts';
import { neededParts } from './elf/needed-parts.ts';
import { sectionBytes } from './elf/section-bytes.ts';
import { SymbolTable } from './elf/symbol-table.ts';
import { damaged, fuzzSeed, random } from './testing/damage.ts';

const runs = fuzzRuns(2_000);
const longestMs = 1_000;
const mostBytes = 400 << 20;

const files = [
  ...[
    'gcc-dwarf2',
    'gcc-dwarf3',
    'gcc-dwarf4',
    'gcc-dwarf4-types',
    'gcc-dwarf5',
    'gcc-dwarf5-types',
    'gcc-dwarf5-wide',
  ],
  ...['clang-dwarf2', 'clang-dwarf5', 'clang-dwarf5-wide', 'gcc-lto', 'dwz', 'zlib', 'zdebug', 'zstd', 'aarch64'],
].map((name) => {
  const bytes = readFileSync(join(import.meta.dirname, 'fixtures', `${name}.elf`));
  const sections = readSections(inMemory(bytes)).filter((section) => section.type !== 8 && section.sizeBytes > 8);
  return { name, bytes, debug: sections.filter((section) => section.name.includes('debug_')), sections };
});

/** Time of the processor, for the machine may have more to do. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** The file with faults in one section; a section that is cut keeps its place. */
function damagedSection(bytes: Buffer, section: ElfSection, next: () => number): Buffer {
  const copy = Buffer.from(bytes);
  const { offsetBytes, sizeBytes } = section;
  damaged(copy.subarray(offsetBytes, offsetBytes + sizeBytes), next).copy(copy, offsetBytes);
  return copy;
}

/** Gives `runs` damaged files to a parser. Nothing but BadInput may be thrown, soon, and memory must not pile up. */
function fuzz(
  make: (next: () => number) => { name: string; bytes: Buffer },
  parse: (bytes: Buffer, run: number) => void,
) {
  const next = random(fuzzSeed);
  const before = process.memoryUsage().rss;
  let [read, refused] = [0, 0];
  for (let run = 0; run < runs; run += 1) {
    const { name, bytes } = make(next);
    const begin = cpuMs();
    try {
      parse(bytes, run);
      read += 1;
    } catch (error) {
      if (!(error instanceof BadInput)) throw new Error(`run ${run} (${name}) with seed ${fuzzSeed}`, { cause: error });
      refused += 1;
    }
    const lasted = cpuMs() - begin;
    if (lasted > longestMs)
      throw new Error(`run ${run} (${name}) with seed ${fuzzSeed} lasted ${Math.round(lasted)} ms`);
    if (run % 500 === 0) expect(process.memoryUsage().rss - before).toBeLessThan(mostBytes);
  }
  return { read, refused };
}

const pick = <T>(items: readonly T[], next: () => number) => items[Math.floor(next() * items.length)] as T;

test(`whatever the debug sections hold, it is built from or refused (seed ${fuzzSeed})`, () => {
  const make = (next: () => number) => {
    const { name, bytes, debug } = pick(files, next);
    return { name, bytes: damagedSection(bytes, pick(debug, next), next) };
  };
  const { read, refused } = fuzz(make, (bytes, run) => {
    const pieces: Buffer[] = [];
    buildFromElf(inMemory(bytes), (piece) => pieces.push(piece), { likeDwarf2json: run % 2 === 0 });
    if (run % 20 === 0) JSON.parse(Buffer.concat(pieces).toString());
  });
  expect(read).toBeGreaterThan(runs / 20);
  expect(refused).toBeGreaterThan(runs / 20);
});

test(`whatever the ELF file holds beside, it is read or refused (seed ${fuzzSeed})`, () => {
  const make = (next: () => number) => {
    const { name, bytes } = pick(files, next);
    const table = Number(bytes.readBigUInt64LE(40));
    const place = pick([0, table, table], next);
    const copy = Buffer.from(bytes);
    damaged(copy.subarray(place, place + (place === 0 ? 64 : bytes.length - place)), next).copy(copy, place);
    return { name, bytes: next() < 0.2 ? damaged(copy, next) : copy };
  };
  const { read, refused } = fuzz(make, (bytes) => {
    const elf = inMemory(bytes);
    const sections = readSections(elf);
    neededParts(elf);
    const symbols = new SymbolTable(elf, sections);
    for (let index = 0; index < symbols.count; index += 1) symbols.name(index);
    for (const section of sections) if (section.type !== 8) sectionBytes(elf, section).read(0, 16);
  });
  expect(read).toBeGreaterThan(runs / 20);
  expect(refused).toBeGreaterThan(runs / 20);
});
