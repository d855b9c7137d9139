import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { command } from './command.ts';

/** Writes an ext4 file system with the contents of `folder` into the (sparse) file at `imagePath`; no mount, no root needed. */
export async function makeExt4(folder: string, imagePath: string, options: { freeMiB: number }): Promise<void> {
  const usedKiB = Number.parseInt(await command('du', ['-sk', folder]), 10);
  const sizeMiB = Math.ceil((usedKiB / 1024) * 1.15) + 32 + options.freeMiB;
  const fd = openSync(imagePath, 'w');
  ftruncateSync(fd, sizeMiB * 1024 * 1024);
  closeSync(fd);
  const features = ['-O', '^has_journal', '-E', 'lazy_itable_init=1,root_owner=0:0', '-m', '0'];
  await command('mke2fs', ['-q', '-F', '-t', 'ext4', ...features, '-d', folder, imagePath]);
}
