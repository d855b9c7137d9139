import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { downloadPackages, unpackDebs } from './apt-download.ts';
import { chooseKernel, compareReleases, isOfSeries, type KernelVersion, kernelVersions } from './apt-versions.ts';
import { buildOnce } from './build-once.ts';
import { cacheDir, cachePath } from './cache.ts';
import { command } from './command.ts';
import { type DebianLists, ensureDebianLists } from './debian-lists.ts';
import { SetupFailure } from './failure.ts';
import { ensureHostPackages } from './host-packages.ts';
import { say } from './progress.ts';

/** The builds that golden digests are of; once Debian drops one, the newest of the series takes its place. */
const preferred: Record<string, string> = {
  '6.1': '6.1.0-56-cloud-amd64',
  '6.12': '6.12.117+deb12-cloud-amd64',
};

/** Every suite that offers kernels for the cloud. */
const suites = [...['bookworm', 'bookworm-security', 'trixie', 'trixie-security', 'trixie-backports', 'sid']] as const;

/** Packages that a kernel may be split into: its own name is always there, the others since 6.19. */
const parts = ['image', 'binary', 'modules', 'base'] as const;

export interface Kernel {
  release: string;
  vmlinuzPath: string;
  /** The folder `lib/modules/<release>`. */
  modulesDir: string;
}

/** Series that Debian offered in November 2026, for people. */
const knownSeries = '6.1, 6.12, 6.16, 6.18, 7.3, newest';

/** Debian offers no kernel of this series any more, or never did. */
export class KernelNotOffered extends SetupFailure {
  constructor(series: string) {
    super(
      `cloud kernel ${series} is not offered`,
      'Debian packages',
      `Choose another series (${knownSeries}), or give a folder that holds a kernel and its modules.`,
    );
  }
}

/** The package lists that kernels and their debugging symbols come from. */
export async function ensureKernelLists(): Promise<DebianLists> {
  return await ensureDebianLists('kernels', suites);
}

/**
 * Returns a kernel that a lab node can boot: `series` is one such as `6.1`, `newest`, or a folder with the unpacked packages of a
 * Debian kernel. Throws KernelNotOffered for a series that Debian has dropped.
 */
export async function ensureKernel(series: string): Promise<Kernel> {
  if (series !== 'newest' && !/^\d+\.\d+$/.test(series)) {
    const folder = resolve(series);
    if (!existsSync(folder)) {
      const todo = `Give a series (${knownSeries}), or a folder that holds a kernel and its modules.`;
      throw new SetupFailure(`"${series}" is neither a kernel series nor a folder`, 'this machine', todo);
    }
    const given = kernelIn(folder);
    // an unpacked package has no list of what depends on what: Debian makes it when it installs one
    if (!existsSync(join(given.modulesDir, 'modules.dep'))) await command('depmod', ['-b', folder, given.release]);
    return given;
  }
  const cached = cachedKernel(series);
  if (cached) return cached;
  const lists = await ensureKernelLists();
  const chosen = await resolveKernel(series, lists);
  const folder = await buildOnce(
    cachePath('kernels', chosen.release),
    `kernel ${chosen.release}`,
    async (temporaryPath) => {
      await ensureHostPackages();
      const debsDir = cachePath('debs', `kernel-${chosen.release}`, '.');
      const debs = await downloadPackages(await packagesOf(chosen, lists), debsDir, lists);
      mkdirSync(temporaryPath, { recursive: true });
      await unpackDebs(debs, temporaryPath);
      rmSync(debsDir, { recursive: true });
      await command('depmod', ['-b', withModules(temporaryPath), chosen.release]);
    },
  ).catch((cause: unknown) => {
    throw new SetupFailure(
      `cannot fetch kernel ${chosen.release}`,
      'Debian packages',
      'Check the network, then try again.',
      cause,
    );
  });
  if (series === 'newest') writeFileSync(newestPath(), chosen.release);
  return kernelIn(folder);
}

/** Which build of the series to take, by the package lists (refreshed when they offer none). */
async function resolveKernel(series: string, lists: DebianLists): Promise<KernelVersion> {
  const chosen = await offeredKernel(series, lists);
  if (chosen) return chosen;
  say(`  no kernel ${series} in the package lists: refreshing them`);
  await lists.refresh();
  const afterRefresh = await offeredKernel(series, lists);
  if (afterRefresh) return afterRefresh;
  throw new KernelNotOffered(series);
}

async function offeredKernel(series: string, lists: DebianLists): Promise<KernelVersion | undefined> {
  const names = (await command('apt-cache', [...lists.options, 'pkgnames', 'linux-image-']))
    .split('\n')
    .filter((name) => /^linux-image-\d.*-cloud-amd64(-dbg)?$/.test(name));
  if (names.length === 0) return undefined;
  const madison = await command('apt-cache', [...lists.options, 'madison', ...names]);
  const wanted = preferred[series];
  const chosen = chooseKernel(kernelVersions(madison, series), wanted);
  if (chosen && wanted !== undefined && chosen.release !== wanted)
    say(`  kernel ${wanted} is not offered any more: taking ${chosen.release}`);
  return chosen;
}

/** The packages that make up a kernel, as `name=version`. */
async function packagesOf({ release, packageVersion }: KernelVersion, lists: DebianLists): Promise<string[]> {
  const names = parts.map((part) => `linux-${part}-${release}`);
  const madison = await command('apt-cache', [...lists.options, 'madison', ...names]);
  return names
    .filter((name) => madison.split('\n').some((line) => isVersion(line, name, packageVersion)))
    .map((name) => `${name}=${packageVersion}`);
}

function isVersion(line: string, name: string, version: string): boolean {
  const [packageName, offered] = line.split('|').map((cell) => cell.trim());
  return packageName === name && offered === version;
}

/** What is already in the cache serves without asking the package lists: the second run needs no network. */
function cachedKernel(series: string): Kernel | undefined {
  const folder = join(cacheDir, 'kernels');
  if (!existsSync(folder)) return undefined;
  const newest = existsSync(newestPath()) ? readFileSync(newestPath(), 'utf8') : undefined;
  const [found] = readdirSync(folder)
    .filter((name) => name.endsWith('-cloud-amd64'))
    .filter((name) => (series === 'newest' ? name === newest : isOfSeries(name, series)))
    .sort((a, b) => compareReleases(b, a));
  return found ? kernelIn(join(folder, found)) : undefined;
}

/** Remembers which release was the newest when it was fetched. */
function newestPath(): string {
  return cachePath('kernels', 'newest');
}

/** Makes `lib/modules` lead to the modules, where depmod and modprobe look for them: packages since 6.12 have them below `usr`. */
function withModules(folder: string): string {
  if (!existsSync(join(folder, 'lib')) && existsSync(join(folder, 'usr/lib/modules')))
    symlinkSync('usr/lib', join(folder, 'lib'));
  return folder;
}

function kernelIn(folder: string): Kernel {
  const modules = join(withModules(folder), 'lib/modules');
  for (const release of existsSync(modules) ? readdirSync(modules) : []) {
    const modulesDir = join(modules, release);
    const vmlinuzPath = [join(folder, 'boot', `vmlinuz-${release}`), join(modulesDir, 'vmlinuz')].find(existsSync);
    if (vmlinuzPath !== undefined && existsSync(join(modulesDir, 'kernel')))
      return { release, vmlinuzPath, modulesDir };
  }
  throw new SetupFailure(
    `${folder} holds no kernel`,
    'this machine',
    'It must hold lib/modules/<release> and, there or in boot, its vmlinuz, as the unpacked packages of a Debian kernel do.',
  );
}
