import { readdirSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/**
 * Removes what lies beside `path` and was made by earlier inputs, but for the newest few: checkouts may share a cache. A
 * node that runs keeps its files open and does not miss them.
 */
export function pruneBeside(path: string, keep = 2): void {
  const made = /^[0-9a-f]{16}(\.ext4)?$/;
  const others = readdirSync(dirname(path))
    .filter((name) => made.test(name) && name !== basename(path))
    .map((name) => join(dirname(path), name))
    .map((other) => ({ other, changedMs: statSync(other).mtimeMs }))
    .sort((a, b) => b.changedMs - a.changedMs);
  for (const { other } of others.slice(keep)) rmSync(other, { recursive: true, force: true });
}
