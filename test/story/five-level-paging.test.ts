import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { kcorder } from '../stage/command-line.ts';
import { Stage } from '../stage/stage.ts';
import { askProc, livedThrough } from './oracle.ts';

test('a node with 5-level paging is analysed with symbols from its vmlinux: every process that lived through the capture is there', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'kcorder-la57-'));
  const stage = await Stage.open(join(dir, 'stage'), { symbols: 'dwarf' });
  try {
    const node = await stage.boot({ name: 'story-la57', memoryMiB: 512, la57: true, pods: true });
    expect(await node.must('grep -c la57 /proc/cpuinfo')).toMatch(/^[1-9]/);
    const run = async (...args: string[]) => await kcorder(stage.context, args);
    await expect
      .poll(async () => (await run('get', 'nodes', '-o', 'json')).stdout, { timeout: 90_000, interval: 500 })
      .toMatch(/"online": true/);
    const before = await askProc(node);
    const { exitCode, stdout, stderr } = await run(
      'capture',
      'story-la57',
      '--reason',
      'INC-4',
      '--wait',
      '-o',
      'json',
    );
    const lived = livedThrough(before, await askProc(node));
    expect(exitCode, stderr).toBe(0);
    const { analysis } = JSON.parse(stdout) as {
      analysis: { processes: { pid: number; name: string }[]; symbols: { quality: string } };
    };
    expect(analysis.symbols.quality).toBe('SYMBOLS_QUALITY_DWARF');
    const found = new Set(analysis.processes.map(({ pid, name }) => `${pid} ${name}`));
    expect(lived.length).toBeGreaterThan(40);
    expect(lived.map(({ pid, name }) => `${pid} ${name}`).filter((process) => !found.has(process))).toEqual([]);
  } finally {
    await stage.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
