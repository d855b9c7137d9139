import { existsSync, renameSync, rmSync } from 'node:fs';
import { withLock } from './lock.ts';
import { step } from './progress.ts';

/**
 * Makes the file or folder at `path` if it is not there: `build` writes it under a temporary name, a rename makes it visible.
 * Many processes may ask at once; one builds, the others wait. Returns `path`.
 */
export async function buildOnce(
  path: string,
  what: string,
  build: (temporaryPath: string) => Promise<void>,
): Promise<string> {
  if (existsSync(path)) return path;
  return await withLock(`${path}.lock`, async () => {
    if (existsSync(path)) return path;
    const temporaryPath = `${path}.tmp`;
    rmSync(temporaryPath, { recursive: true, force: true });
    return await step(
      what,
      async () => {
        await build(temporaryPath);
        renameSync(temporaryPath, path);
        return path;
      },
      () => path,
    );
  });
}
