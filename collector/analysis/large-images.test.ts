import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureVolatility } from '../../tools/setup/volatility.ts';
import type { ImageSource } from './analysis.ts';
import { profiles } from './profiles.ts';
import { analyzeMeasured, type LargeImage, makeLargeImage, packLargeImage } from './testing/large-image.ts';

const gibibyte = 2 ** 30;

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kcorder-large-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const plain = async ({ path }: LargeImage): Promise<ImageSource> => ({ kind: 'lime', path });

test.each([
  ['standard', 64 * gibibyte, 'as a plain file', plain, profiles.standard],
  ['standard', 64 * gibibyte, 'in frames', packLargeImage, profiles.standard],
  ['a scan', gibibyte / 16, 'as a plain file', plain, ['linux.psscan.PsScan']],
  ['a scan', gibibyte / 16, 'in frames', packLargeImage, ['linux.psscan.PsScan']],
])('%s of an image of %i bytes %s takes little memory', async (_what, bytes, _how, open, plugins) => {
  const python = await ensureVolatility();
  const image = await makeLargeImage(python, dir, bytes);
  const opened = await open(image);
  const taken = await analyzeMeasured(python, image, opened, join(dir, 'out'), plugins);
  if (opened.kind === 'ranges') await opened.source[Symbol.asyncDispose]();
  expect(taken.report).toMatchObject({ state: 'done', diagnostics: [] });
  expect(taken.report.plugins.find(({ name }) => name === plugins.at(0))).toMatchObject({ state: 'rows', rowCount: 1 });
  expect(taken.runnerBytes).toBeGreaterThan(10 * 2 ** 20);
  expect(taken.runnerBytes).toBeLessThan(gibibyte);
  expect(taken.ownGrowthBytes).toBeLessThan(150 * 2 ** 20);
});
