import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ensureKernel, KernelNotOffered } from '../../tools/setup/kernel.ts';
import { type KernelProof, proveKernel } from './prove-kernel.ts';

const kernels = ['6.1', '6.12', '6.16', '6.18', '7.3', 'newest'].flatMap((kernel) => [
  { kernel, la57: false, memoryMiB: 512 },
  { kernel, la57: true, memoryMiB: 512 },
]);
const large = { kernel: 'newest', la57: false, memoryMiB: 6144 };

const rows: string[] = [];
/** Releases with the paging that they were proven with: `newest` is often one of the series too. */
const proven = new Set<string>();

afterAll(() => {
  const head = [
    '| kernel | paging | memory | processes found | in their pod | plugins that fail | unsupported | DWARF and BTF | drgn |',
    '|---|---|---|---|---|---|---|---|---|',
  ];
  process.stdout.write(`\n${[...head, ...rows].join('\n')}\n`);
});

test.each([...kernels, large])(
  'kernel $kernel (5-level paging: $la57, $memoryMiB MiB) is captured and understood whole',
  { timeout: 1_800_000 },
  async ({ kernel, la57, memoryMiB }) => {
    const offered = await ensureKernel(kernel).catch((error: unknown) => {
      if (!(error instanceof KernelNotOffered)) throw error;
      return undefined;
    });
    const paging = `${la57 ? 5 : 4}-level`;
    if (offered === undefined) {
      rows.push(`| ${kernel} | ${paging} | | not offered | | | | | |`);
      return;
    }
    const key = `${offered.release} ${paging} ${memoryMiB}`;
    if (proven.has(key)) return;
    proven.add(key);
    const dir = mkdtempSync(join(tmpdir(), 'kcorder-kernels-'));
    try {
      const name = `kernel-${kernel.replace('.', '-')}`;
      const proof = await proveKernel(dir, { name, kernel, la57, memoryMiB });
      rows.push(`| ${proof.release} | ${paging} | ${memoryMiB} MiB | ${cells(proof).join(' | ')} |`);
      // at once too: a soak that is broken off has still shown it
      process.stdout.write(`${rows.at(-1)}\n`);
      expect(proof.recall).toMatchObject({ missing: [], misplaced: [], undated: [] });
      expect(proof.recall.lived).toBeGreaterThan(40);
      expect(proof.recall.inPods).toBeGreaterThan(5);
      expect(proof.untyped).toEqual([]);
      expect(proof.differing ?? []).toEqual([]);
      expect(proof.disagreements ?? []).toEqual([]);
      expect(proof.accelerated).toEqual([]);
      expect(proof.failed).toEqual([]);
      expect(proof.exitCode).toBe(0);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
);

function cells({ recall, failed, unsupported, differing, disagreements }: KernelProof): string[] {
  const { lived, missing, inPods, misplaced } = recall;
  return [
    `${lived - missing.length} of ${lived}`,
    `${inPods - misplaced.length} of ${inPods}`,
    failed.join('; ') || 'none',
    unsupported.join('; ') || 'none',
    differing === undefined
      ? 'no -dbg: BTF alone'
      : differing.length === 0
        ? 'the same rows'
        : `differ: ${differing.join(', ')}`,
    disagreements === undefined ? '' : disagreements.length === 0 ? 'agrees' : `${disagreements.length} rows differ`,
  ];
}
