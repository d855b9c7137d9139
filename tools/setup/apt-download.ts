import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cachePath } from './cache.ts';
import { command } from './command.ts';
import type { DebianLists } from './debian-lists.ts';
import { withLock } from './lock.ts';

/**
 * Downloads Debian packages with all that they depend on, whatever this machine has installed, by its own package lists or by
 * `lists`. apt checks the digests against the signed lists and resumes a download that was cut. Returns the paths of the .deb files.
 */
export async function downloadWithDependencies(
  names: string[],
  folder: string,
  lists?: DebianLists,
): Promise<string[]> {
  const archives = cachePath('debs', folder);
  return await withLock(`${archives}.lock`, async () => {
    mkdirSync(join(archives, 'partial'), { recursive: true });
    const emptyStatus = cachePath('debs', 'empty-status');
    writeFileSync(emptyStatus, '');
    await command('apt-get', [
      ...aptOptions(archives, lists),
      ...['-o', `Dir::State::status=${emptyStatus}`, '--no-install-recommends', '--download-only', 'install', ...names],
    ]);
    return debsIn(archives);
  });
}

/** Downloads packages (`name=version`) without what they depend on into `folder`; returns the paths of their .deb files. */
export async function downloadPackages(names: string[], folder: string, lists?: DebianLists): Promise<string[]> {
  mkdirSync(join(folder, 'partial'), { recursive: true });
  for (const old of debsIn(folder)) rmSync(old);
  await command('apt-get', [...aptOptions(folder, lists), 'download', ...names], { cwd: folder });
  const debs = debsIn(folder);
  if (debs.length !== names.length)
    throw new Error(`apt-get succeeded but left ${debs.length} files for ${names.join(', ')}`);
  return debs;
}

/** Unpacks packages into `root` without running their scripts; the links of a merged /usr stay links. */
export async function unpackDebs(debs: string[], root: string): Promise<void> {
  for (const deb of debs) {
    const script = 'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"';
    await command('bash', ['-o', 'pipefail', '-c', script, 'bash', deb, root]);
  }
}

function aptOptions(archives: string, lists?: DebianLists): string[] {
  const settings = [
    `Dir::Cache::archives=${archives}`,
    'Debug::NoLocking=1',
    'APT::Sandbox::User=',
    'Acquire::Retries=3',
  ];
  return ['-q', '-y', ...(lists?.options ?? []), ...settings.flatMap((setting) => ['-o', setting])];
}

function debsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.deb'))
    .map((name) => join(folder, name));
}
