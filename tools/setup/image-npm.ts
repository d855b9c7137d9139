import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { repoDir } from './cache.ts';
import { command } from './command.ts';
import { SetupFailure } from './failure.ts';

/** A package of npm that goes into an image. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** As in the lock file: `sha512-…`. */
  readonly integrity?: string;
  readonly license?: string;
  /** From the checkout's root: `node_modules/…`. */
  readonly path: string;
}

interface LockEntry {
  readonly version?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  /** There for development, and somebody's optional peer. */
  readonly devOptional?: boolean;
  readonly link?: boolean;
  readonly resolved?: string;
}

/** The packages that npm counts as these workspaces' for production, as they lie in the checkout: no network needed. */
export async function productionPackages(workspaces: readonly string[]): Promise<NpmPackage[]> {
  const only = [...workspaces.map((workspace) => `--workspace=${workspace}`), '--omit=dev', '--all', '--parseable'];
  const listed = await command('npm', ['ls', ...only], { cwd: repoDir }).catch((cause: unknown) => {
    throw new SetupFailure(
      `npm cannot list what ${workspaces.join(', ')} depend on`,
      'npm',
      'Run `npm ci` in the checkout, then try again.',
      cause,
    );
  });
  const lock = readLock();
  const found: NpmPackage[] = [];
  for (const absolute of listed.trim().split('\n')) {
    const path = relative(repoDir, absolute);
    const entry = lock[path];
    // npm also lists what is only there for development, where it lies beside what is not.
    if (!path.includes('node_modules/') || entry === undefined || entry.link === true) continue;
    if (entry.dev === true || entry.devOptional === true) continue;
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const { version = '', integrity, license } = entry;
    found.push({ name, version, path, ...(integrity && { integrity }), ...(license && { license }) });
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** What a running Node never reads: tests, types, maps, programs for another engine, pages to read. Licences are none of these. */
const unreadFolders = /^(__tests__|benchmarks?|docs?|examples?|tests?)$/;
const unreadFiles =
  /\.bare$|\.d\.[cm]?ts(\.map)?$|\.[cm]?js\.map$|\.(test|spec|test-d)\.[cm]?[jt]s$|\.tsbuildinfo$|^(readme|changelog|history)(\.md)?$/i;

/** Copies packages to below `app`, and makes the workspaces known there by their names; their sources are not copied. */
export function copyPackages(packages: readonly NpmPackage[], workspaces: readonly string[], app: string): void {
  for (const { path } of packages) {
    const folder = join(repoDir, path);
    const isRead = (source: string): boolean => {
      const name = basename(source);
      if (dirname(source) !== folder) return !unreadFiles.test(name);
      // A package within another comes with its own entry, if it is for production at all.
      return name !== 'node_modules' && !unreadFolders.test(name) && !unreadFiles.test(name);
    };
    cpSync(folder, join(app, path), { recursive: true, filter: (source) => source === folder || isRead(source) });
  }
  for (const [path, entry] of Object.entries(readLock())) {
    if (entry.link !== true || entry.resolved === undefined || !workspaces.includes(entry.resolved)) continue;
    mkdirSync(dirname(join(app, path)), { recursive: true });
    symlinkSync(relative(dirname(path), entry.resolved), join(app, path));
  }
}

function readLock(): Record<string, LockEntry> {
  const lock = JSON.parse(readFileSync(join(repoDir, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockEntry>;
  };
  return lock.packages;
}
