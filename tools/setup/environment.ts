import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The one place where set-up and lab read the environment. */
export const environment = {
  /** KCORDER_CACHE: the folder for everything downloaded or built, if it is not `.cache` of the checkout. */
  cacheDir: process.env.KCORDER_CACHE || undefined,
  /** KCORDER_ACCEL: `tcg` or `kvm` instead of the self-test. */
  accel: process.env.KCORDER_ACCEL || undefined,
};

/** The full path of a program on PATH (or in one of the folders that a login shell may leave out), or undefined. */
export function findProgram(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const home = process.env.HOME ?? '/root';
  for (const folder of [
    ...folders,
    '/usr/sbin',
    '/sbin',
    '/usr/local/go/bin',
    join(home, '.cargo/bin'),
    join(home, 'go/bin'),
  ]) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not in this folder
    }
  }
  return undefined;
}
