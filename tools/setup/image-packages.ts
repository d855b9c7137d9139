import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { downloadWithDependencies } from './apt-download.ts';
import { command } from './command.ts';
import { SetupFailure } from './failure.ts';

/** A Debian package that goes into an image. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Lower-case hex, of the .deb file: what apt has checked against Debian's signed lists. */
  readonly sha256: string;
  /** Of the .deb file. */
  readonly path: string;
  /** As dpkg keeps it of an installed package. */
  readonly control: string;
}

/**
 * Debian packages with all that they depend on, but for the ones of `without` (what only maintainer scripts need, which nobody runs in an image),
 * by name. Of a package that was fetched in several versions over time it is the newest.
 */
export async function debianPackages(
  names: string[],
  folder: string,
  without: string[] = [],
): Promise<DebianPackage[]> {
  const debs = await downloadWithDependencies(names, folder).catch((cause: unknown) => {
    throw new SetupFailure(
      `cannot fetch ${names.join(', ')} for an image`,
      'Debian packages',
      'Run `apt-get update` and check the network, then try again.',
      cause,
    );
  });
  const newest = new Map<string, DebianPackage>();
  for (const path of debs) {
    if (without.includes(basename(path).split('_')[0] ?? '')) continue;
    const found = await readPackage(path);
    const before = newest.get(found.name);
    if (before === undefined || (await isNewer(found.version, before.version))) newest.set(found.name, found);
  }
  return [...newest.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function readPackage(path: string): Promise<DebianPackage> {
  const control = await command('dpkg-deb', ['--field', path]);
  const field = (name: string): string => new RegExp(`^${name}: (.+)$`, 'm').exec(control)?.[1] ?? '';
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
  const [name, version, architecture] = [field('Package'), field('Version'), field('Architecture')];
  return { name, version, architecture, sha256, path, control };
}

async function isNewer(version: string, other: string): Promise<boolean> {
  return await command('dpkg', ['--compare-versions', version, 'gt', other]).then(
    () => true,
    () => false,
  );
}
