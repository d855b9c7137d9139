import { execFileSync } from 'node:child_process';
import { makeScratch } from './files.ts';

/** A file system of 1 MiB, or as many as told. Throws for those who may not make one. */
export function makeTinyDisk(mebibytes = 1): Disposable & { readonly dir: string } {
  using cleanup = new DisposableStack();
  const { dir } = cleanup.use(makeScratch());
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', dir], { stdio: 'ignore' });
  cleanup.defer(() => execFileSync('umount', [dir]));
  const owned = cleanup.move();
  return { dir, [Symbol.dispose]: () => owned.dispose() };
}

/** Whether this user may make one. */
export const mayMount: boolean = (() => {
  try {
    makeTinyDisk()[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
})();
