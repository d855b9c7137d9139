import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cachePath } from './cache.ts';
import { command } from './command.ts';
import { withLock } from './lock.ts';

/**
 * Downloads Debian packages with all that they depend on, whatever this machine has installed. apt checks the digests and
 * goes on with a download that was cut. Returns the paths of the .deb files.
 */
export async function downloadWithDependencies(names: string[], folder: string): Promise<string[]> {
  const archives = cachePath('debs', folder);
  return await withLock(`${archives}.lock`, async () => {
    mkdirSync(join(archives, 'partial'), { recursive: true });
    const emptyStatus = cachePath('debs', 'empty-status');
    writeFileSync(emptyStatus, '');
    await command('apt-get', [
      ...aptOptions(archives),
      ...['-o', `Dir::State::status=${emptyStatus}`, '--no-install-recommends', '--download-only', 'install', ...names],
    ]);
    return debsIn(archives);
  });
}

/** Downloads one package without what it depends on into `folder` and returns the path of its .deb file. */
export async function downloadPackage(name: string, version: string, folder: string): Promise<string> {
  mkdirSync(join(folder, 'partial'), { recursive: true });
  for (const old of debsIn(folder)) rmSync(old);
  await command('apt-get', [...aptOptions(folder), 'download', `${name}=${version}`], { cwd: folder });
  const [deb] = debsIn(folder);
  if (!deb) throw new Error(`apt-get ended well but left no file for ${name}`);
  return deb;
}

/** Unpacks packages into `root` without running their scripts; the links of a merged /usr stay links. */
export async function unpackDebs(debs: string[], root: string): Promise<void> {
  for (const deb of debs) {
    const script = 'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"';
    await command('bash', ['-o', 'pipefail', '-c', script, 'bash', deb, root]);
  }
}

function aptOptions(archives: string): string[] {
  const settings = [
    `Dir::Cache::archives=${archives}`,
    'Debug::NoLocking=1',
    'APT::Sandbox::User=',
    'Acquire::Retries=3',
  ];
  return ['-q', '-y', ...settings.flatMap((setting) => ['-o', setting])];
}

function debsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.deb'))
    .map((name) => join(folder, name));
}
