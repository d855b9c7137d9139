import { create } from '@bufbuild/protobuf';
import {
  KernelSymbolsSchema,
  SourceReportSchema,
  SymbolsQuality,
  SymbolsState,
  SymbolsStatusSchema,
} from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { expect, test } from 'vitest';
import { hostileTexts } from '../fixtures/hostile-text.ts';
import { takenMs } from '../fixtures/lab-capture.ts';
import { missingOf, providedOf, readyBuildId, readyOf } from '../fixtures/lab-symbols.ts';
import type { Look } from '../output/grid.ts';
import { paintFor } from '../output/paint.ts';
import { kernelText, symbolsTable } from './symbols.ts';
import { symbolsBrief, symbolsWord } from './symbols-words.ts';

const look: Look = { paint: paintFor(false), width: undefined, wide: false };

test('kernels, one a line', () => {
  expect(symbolsTable([readyOf(), missingOf(), providedOf()], look, takenMs)).toBe(
    `
KERNEL                BUILD-ID      SYMBOLS  QUALITY       SIZE  PINNED  NODES  USED  SOURCE
6.6.72+               4f1c9a0be2d3  ready    dwarf     30.0 MiB  yes     2        1m  built from https://storage.googleapis.com/cos-tools/18613.164.4/vmlinux
6.12.0-2-amd64        4f1c9a77e2d3  missing  -                -  -       1         -  -
6.1.0-56-cloud-amd64  -             ready    provided   1.0 MiB  -       0        1h  kernel.json.xz, imported by alice
`.trimStart(),
  );
});

test('wide names the nodes, the whole build-id and the key', () => {
  const [, line] = symbolsTable([readyOf()], { ...look, wide: true }, takenMs).split('\n');
  expect(line?.split(/ {2,}/)).toEqual(expect.arrayContaining([readyBuildId, 'lab-1,lab-3', 'x86_64']));
});

test('one kernel tells its sources in order, and of each what was there', () => {
  expect(kernelText(readyOf(), look, takenMs)).toContain(
    `
SOURCE      STATE               ASKED  DETAIL
cache       nothing         1m30s ago  /data/symbols
directory   not configured          -  -
bucket      not configured          -  -
cos         found           1m20s ago  https://storage.googleapis.com/cos-tools/18613.164.4/vmlinux
debuginfod  not configured          -  -
node        not asked               -  -
dwarf2json  not configured          -  -

remark       The variable per_cpu_x has no type.
`,
  );
});

test('one kernel tells its banner and the digest of its ISF', () => {
  const text = kernelText(readyOf(), look, takenMs);
  expect(text).toContain('\nbanner       Linux version 6.6.72+ (builder@cos)');
  expect(text).toContain(`\nisf sha-256  ${'ab'.repeat(32)}\n`);
  expect(text).toContain('\nnodes        lab-1, lab-3\n');
  expect(text).toContain('\nbuilt        2026-11-21 19:03:11 UTC\n');
});

test('what is missing says what to do next, and only what is still remembered is', () => {
  const text = kernelText(missingOf(), look, takenMs);
  expect(text).toContain('connection refused; remembered until 2026-11-22 19:03:51 UTC\n');
  expect(text.match(/remembered/g)).toHaveLength(1);
  expect(text).toMatch(
    /\nmissing: Import its ISF with `kcorder symbols import`\. Looked in: .*\n`kcorder symbols find lab-2` looks again now\.\n$/,
  );
});

test('a kernel that was never looked for says so, unless its symbols are kept', () => {
  const text = (changes: object) => kernelText(create(KernelSymbolsSchema, changes), look, takenMs);
  expect(text({})).toContain('No source has been asked since the collector started.\n');
  expect(kernelText(providedOf(), look, takenMs)).toContain('Its symbols are kept: no source needs to be asked.\n');
});

test.each([
  ['ready', { state: SymbolsState.READY, quality: SymbolsQuality.DWARF }, 'ready', 'ready'],
  ['ready by BTF', { state: SymbolsState.READY, quality: SymbolsQuality.BTF }, 'ready', 'ready (btf)'],
  ['half built', { state: SymbolsState.BUILDING, doneBytes: 45n, totalBytes: 100n }, 'building 45%', 'building 45%'],
  ['being built', { state: SymbolsState.BUILDING, doneBytes: 45n }, 'building', 'building'],
  [
    'more than built',
    { state: SymbolsState.BUILDING, doneBytes: 9n, totalBytes: 3n },
    'building 100%',
    'building 100%',
  ],
  ['of another build', { state: SymbolsState.MISMATCH }, 'mismatch', 'mismatch'],
  ['not told', {}, '-', '-'],
])('%s', (_what, status, word, brief) => {
  const full = create(SymbolsStatusSchema, status);
  expect([symbolsWord(full), symbolsBrief(full)]).toEqual([word, brief]);
});

test('a terminal obeys nothing that a node or a collector says', () => {
  const hostile = hostileTexts.map((text) =>
    create(KernelSymbolsSchema, {
      key: text,
      buildId: text,
      release: text,
      banner: text,
      architecture: text,
      cosBuildId: text,
      nodeNames: [text],
      remarks: [text],
      status: {
        state: SymbolsState.MISSING,
        source: text,
        detail: text,
        isfSha256: text,
        sources: [create(SourceReportSchema, { name: text, state: text, detail: text })],
      },
    }),
  );
  const lines = kernelText(readyOf(), look, takenMs).split('\n').length;
  for (const kernel of hostile) {
    const text = kernelText(kernel, { ...look, wide: true }, takenMs);
    expect(text).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(text.split('\n').length).toBeLessThan(lines + 4);
  }
  expect(symbolsTable(hostile, look, takenMs).split('\n')).toHaveLength(hostile.length + 2);
});
