import { create } from '@bufbuild/protobuf';
import { SymbolsState, SymbolsStatusSchema } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { expect, test } from 'vitest';
import { nodesOf, takenMs } from '../fixtures/lab-capture.ts';
import type { Look } from '../output/grid.ts';
import { paintFor } from '../output/paint.ts';
import { nodesTable, nodeText } from './nodes.ts';

const look: Look = { paint: paintFor(false), width: undefined, wide: false };
const nowMs = takenMs + 90_000;

test('nodes, one a line', () => {
  expect(nodesTable(nodesOf(), look, nowMs)).toBe(
    `
NAME   STATUS   CAPTURABLE    SYMBOLS      KERNEL                AGENT  LAST SEEN  RUNNING CAPTURE
lab-1  online   yes           ready (btf)  6.1.0-56-cloud-amd64  0.1.0        now  -
lab-2  offline  no: lockdown  missing      6.12.0-2-amd64        0.1.0      1m30s  -
`.trimStart(),
  );
});

test('one node says what stands in the way', () => {
  const text = nodesOf().map((node) => nodeText(node, look, nowMs));
  expect(text[0]).not.toContain('cannot be captured');
  expect(text[1]).toContain(
    '\nThis node cannot be captured:\nlockdown: The kernel runs with lockdown=confidentiality. Boot it with lockdown=integrity or none.\n',
  );
});

test('one node says what is with its symbols, and where more is to be read', () => {
  const text = nodesOf().map((node) => nodeText(node, look, nowMs));
  expect(text[0]).not.toContain('symbols');
  expect(text[1]).toMatch(
    /\nA capture of it cannot be analyzed:\nsymbols missing: Import its ISF\.\n`kcorder symbols get lab-2` shows what each source had\.\n$/,
  );
});

test('symbols that are being built are no hindrance', () => {
  const [node] = nodesOf();
  const symbols = create(SymbolsStatusSchema, {
    state: SymbolsState.BUILDING,
    detail: 'fetching from cos',
    doneBytes: 3n,
    totalBytes: 4n,
  });
  const text = node === undefined ? '' : nodeText({ ...node, symbols }, look, nowMs);
  expect(text).toContain('\nIts symbols are on their way:\nsymbols building 75%: fetching from cos\n');
});

test('an older collector tells nothing of symbols', () => {
  const [node] = nodesOf();
  const { symbols: _none, ...rest } = node ?? nodesOf()[1] ?? expect.unreachable();
  expect(nodesTable([{ ...rest }], look, nowMs)).toMatch(/\nlab-1 +online +yes +- +6\.1/);
});

test('wide tells the memory and the kernel build', () => {
  const [, line] = nodesTable(nodesOf(), { ...look, wide: true }, nowMs).split('\n');
  expect(line?.split(/ {2,}/).slice(8, 12)).toEqual(['x86_64', 'none', '1.0 GiB', 'b7e1f0']);
});
