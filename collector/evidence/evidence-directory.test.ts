import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { EvidenceDirectory } from './evidence-directory.ts';

test('room that is set aside is not promised to captures, and is theirs again afterwards', async () => {
  using scratch = makeScratch();
  const directory = new EvidenceDirectory(scratch.dir);
  const [first, second] = [directory.setAside(() => Number.MAX_SAFE_INTEGER), directory.setAside(() => 1)];
  expect(await directory.freeBytes(0)).toBe(0);
  first[Symbol.dispose]();
  expect(await directory.freeBytes(0)).toBeGreaterThan(1);
  second[Symbol.dispose]();
});

test('only drafts are removed as drafts, and removing everything of a capture touches no other', async () => {
  using scratch = makeScratch();
  const directory = new EvidenceDirectory(scratch.dir);
  for (const id of ['c-1', 'c-2']) {
    mkdirSync(join(directory.pathOf(id), 'analysis'), { recursive: true });
    for (const file of ['image.lime', 'image.lime.zst', 'manifest.json', 'analysis/report.json'])
      writeFileSync(join(directory.pathOf(id), file), 'x', { mode: 0o400 });
    writeFileSync(directory.draftPath(id, 'image.lime.zst'), 'x', { mode: 0o400 });
  }
  await directory.removeDrafts('c-1');
  await directory.removeDrafts('c-9');
  expect(readdirSync(directory.pathOf('c-1')).sort()).toEqual([
    'analysis',
    'image.lime',
    'image.lime.zst',
    'manifest.json',
  ]);
  await directory.remove('c-1');
  await directory.remove('c-1');
  expect(existsSync(directory.pathOf('c-1'))).toBe(false);
  expect(readdirSync(directory.pathOf('c-2'))).toHaveLength(5);
});
