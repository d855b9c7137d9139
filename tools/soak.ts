import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { repoDir } from './setup/cache.ts';
import { ensureEverything } from './setup/everything.ts';
import { say } from './setup/progress.ts';
import { vitest } from './test.ts';

const suffix = '.soak.ts';

/** Runs the long tests, or those named, and ends with the line `N passed, N failed`. */
export async function soak(names: readonly string[]): Promise<number> {
  const known = readdirSync(join(repoDir, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(suffix))
    .map((path) => basename(path, suffix))
    .sort();
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    say(`./dev soak: there is no "${unknown}"; there is: ${known.join(', ')}`);
    return 2;
  }
  if ((await ensureEverything()) !== 0) return 1;
  const { passed, failed } = await vitest(
    'soak',
    names.map((name) => `/${name}${suffix}`),
  );
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}
