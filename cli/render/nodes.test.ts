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
NAME   STATUS   CAPTURABLE    KERNEL                AGENT  LAST SEEN  RUNNING CAPTURE
lab-1  online   yes           6.1.0-56-cloud-amd64  0.1.0        now  -
lab-2  offline  no: lockdown  6.12.0-2-amd64        0.1.0      1m30s  -
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

test('wide tells the memory and the kernel build', () => {
  const [, line] = nodesTable(nodesOf(), { ...look, wide: true }, nowMs).split('\n');
  expect(line?.split(/ {2,}/).slice(7, 11)).toEqual(['x86_64', 'none', '1.0 GiB', 'b7e1f0']);
});
