import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ImageSource } from '../../collector/analysis/analysis.ts';
import { profiles } from '../../collector/analysis/profiles.ts';
import {
  analyzeMeasured,
  type LargeImage,
  makeLargeImage,
  packLargeImage,
} from '../../collector/analysis/testing/large-image.ts';
import { ensureVolatility } from '../../tools/setup/volatility.ts';

const gibibyte = 2 ** 30;

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kcorder-large-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const plain = async ({ path }: LargeImage): Promise<ImageSource> => ({ kind: 'lime', path });

test.each([
  ['a plain file', plain],
  ['frames', packLargeImage],
])(
  'the largest profile on 64 GiB in %s takes little memory, and a scan that does not reach the end says so',
  async (how, open) => {
    const python = await ensureVolatility();
    const image = await makeLargeImage(python, dir, 64 * gibibyte);
    const opened = await open(image);
    const { report, runnerBytes, ownGrowthBytes } = await analyzeMeasured(
      python,
      image,
      opened,
      join(dir, 'out'),
      profiles.deep,
    );
    if (opened.kind === 'ranges') await opened.source[Symbol.asyncDispose]();
    const longest = report.plugins.toSorted((one, other) => other.seconds - one.seconds).slice(0, 3);
    const told = longest.map(({ name, state, reason, seconds }) => `${name} ${state} ${reason} ${seconds} s`);
    process.stdout.write(
      `64 GiB in ${how}: ${report.seconds} s, ${Math.ceil(runnerBytes / 2 ** 20)} MiB of the runner, ${Math.ceil(ownGrowthBytes / 2 ** 20)} MiB here; ${told.join('; ')}\n`,
    );
    expect(report).toMatchObject({ state: 'done', reason: '' });
    expect(report.plugins.map(({ name }) => name)).toEqual(profiles.deep);
    expect(runnerBytes).toBeLessThan(gibibyte);
    expect(ownGrowthBytes).toBeLessThan(gibibyte / 4);
  },
);
