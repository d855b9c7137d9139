import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { profiles } from '../../collector/analysis/profiles.ts';
import { readRecording, record } from './record.ts';
import { analyzeAgain, replay } from './replay.ts';
import { failedUnlessSmeared } from './smeared.ts';
import { compareWithStock, knownDifferences } from './stock-rows.ts';

const stockPlugins = profiles.deep.filter((name) => name.startsWith('linux.'));

/** With 4-level paging, as stock Volatility knows no other. */
test.each(['6.1', 'newest'])(
  'on kernel %s every plugin has the rows that vol has, but for what is known and explained',
  { timeout: 3_600_000 },
  async (kernel) => {
    const dir = mkdtempSync(join(tmpdir(), 'kcorder-plugins-'));
    try {
      const name = `plugins-${kernel.replace('.', '-')}`;
      const recordingDir = join(dir, 'recording');
      await record(recordingDir, { name, kernel, la57: false, memoryMiB: 512 });
      await using node = await replay(readRecording(recordingDir));
      const { btfPath, imagePath } = node;
      const ours = await analyzeAgain(node, btfPath, join(dir, 'ours'), { plugins: profiles.deep });
      expect(failedUnlessSmeared(ours.report.plugins)).toEqual([]);
      const stock = await compareWithStock(imagePath, btfPath, ours, stockPlugins, join(dir, 'stock'));
      const known = knownDifferences();
      const unknown = stock.filter(({ plugin, kind }) => !known[plugin]?.kinds.includes(kind));
      expect(unknown).toEqual([]);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
);
