import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { environment } from './environment.ts';

export const repoDir = resolve(import.meta.dirname, '../..');
export const cacheDir = resolve(environment.cacheDir ?? join(repoDir, '.cache'));

/** A path in the cache whose parent folder exists. */
export function cachePath(...parts: string[]): string {
  const path = join(cacheDir, ...parts);
  mkdirSync(dirname(path), { recursive: true });
  return path;
}
