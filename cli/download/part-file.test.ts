import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, linkSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openPartFile } from './part-file.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kcorder-part-'));
  path = join(dir, 'c-1.lime.part');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('what the caller has begun goes on, for the caller alone', async () => {
  writeFileSync(path, 'begun', { mode: 0o600 });
  {
    await using part = await openPartFile(path);
    expect(part.sizeBytes).toBe(5n);
    await part.append(Buffer.from(' and done'));
  }
  expect(readFileSync(path, 'utf8')).toBe('begun and done');
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

// Only root can give a file away.
const isRoot = process.geteuid?.() === 0;

test.each<[string, () => void, boolean]>([
  ['belongs to somebody else', () => chownSync(path, 65_534, 65_534), isRoot],
  ['others could read', () => chmodSync(path, 0o640), true],
  ['has another name too', () => linkSync(path, join(dir, 'another')), true],
  [
    'waits for somebody at its other end',
    () => {
      rmSync(path);
      execFileSync('mkfifo', ['-m', '600', path]);
    },
    true,
  ],
])('a file is left alone that %s', async (_, change, canBeMade) => {
  if (!canBeMade) return;
  writeFileSync(path, 'theirs', { mode: 0o600 });
  change();
  const before = statSync(path);
  await expect(openPartFile(path)).rejects.toMatchObject({
    code: 'storage_failed',
    message: `${path} is there already and is not a file of yours alone: find out who made it, and move it away or choose another name with -f.`,
  });
  expect(statSync(path)).toMatchObject({ size: before.size, mode: before.mode, mtimeMs: before.mtimeMs });
});
