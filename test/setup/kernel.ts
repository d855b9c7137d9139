import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { downloadPackage, unpackDebs } from './apt-download.ts';
import { chooseKernel, compareReleases, type KernelVersion, kernelVersions } from './apt-versions.ts';
import { buildOnce } from './build-once.ts';
import { cacheDir, cachePath } from './cache.ts';
import { command } from './command.ts';
import { SetupFailure } from './failure.ts';
import { ensureHostPackages, refreshPackageLists } from './host-packages.ts';
import { say } from './progress.ts';

/** The builds we know to work; Debian drops old ones, then the newest of the series that has a `-dbg` takes their place. */
const preferred: Record<string, string> = {
  '6.1': '6.1.0-56-cloud-amd64',
  '6.12': '6.12.117+deb12-cloud-amd64',
};

export interface Kernel {
  release: string;
  vmlinuzPath: string;
  /** The folder `lib/modules/<release>`. */
  modulesDir: string;
  /** Where it comes from; a folder that the user gave has no package. */
  packageVersion?: string;
}

/**
 * A kernel that a lab node can boot: `series` is `6.1`, `6.12`, or a folder that holds `boot/vmlinuz-<release>` and
 * `lib/modules/<release>` as a Debian package does.
 */
export async function ensureKernel(series: string): Promise<Kernel> {
  if (!/^\d+\.\d+$/.test(series)) {
    const given = kernelIn(resolve(series));
    // an unpacked package has no list of what depends on what: Debian makes it when it installs one
    if (!existsSync(join(given.modulesDir, 'modules.dep')))
      await command('depmod', ['-b', resolve(series), given.release]);
    return given;
  }
  const cached = cachedKernel(series);
  if (cached) return cached;
  const chosen = await resolveKernel(series);
  const folder = await buildOnce(
    cachePath('kernels', chosen.release),
    `kernel ${chosen.release}`,
    async (temporaryPath) => {
      await ensureHostPackages();
      mkdirSync(temporaryPath, { recursive: true });
      const deb = await downloadPackage(
        `linux-image-${chosen.release}`,
        chosen.packageVersion,
        cachePath('debs', `kernel-${chosen.release}`, '.'),
      );
      await unpackDebs([deb], temporaryPath);
      await command('depmod', ['-b', temporaryPath, chosen.release]);
    },
  ).catch((cause: unknown) => {
    throw new SetupFailure(
      `cannot fetch kernel ${chosen.release}`,
      'Debian packages',
      'Check the network, then try again.',
      cause,
    );
  });
  return { ...kernelIn(folder), packageVersion: chosen.packageVersion };
}

/** Which build of the series to take, by the package lists of this machine (refreshed when they offer none). */
async function resolveKernel(series: string): Promise<KernelVersion> {
  const chosen = await offeredKernel(series);
  if (chosen) return chosen;
  say(`  no kernel ${series} in the package lists: refreshing them`);
  await refreshPackageLists().catch((cause: unknown) => {
    throw new SetupFailure(
      'cannot refresh the package lists',
      'Debian packages',
      'Run `apt-get update`, then try again.',
      cause,
    );
  });
  const afterRefresh = await offeredKernel(series);
  if (afterRefresh) return afterRefresh;
  throw new SetupFailure(
    `no linux-image-${series}.*-cloud-amd64 with a -dbg of the same version is offered`,
    'Debian packages',
    'Take another series, or give a folder with boot/vmlinuz-* and lib/modules/*.',
  );
}

async function offeredKernel(series: string): Promise<KernelVersion | undefined> {
  const names = (await command('apt-cache', ['pkgnames', `linux-image-${series}.`]))
    .split('\n')
    .filter((name) => /-cloud-amd64(-dbg)?$/.test(name));
  if (names.length === 0) return undefined;
  const chosen = chooseKernel(
    kernelVersions(await command('apt-cache', ['madison', ...names]), series),
    preferred[series],
  );
  if (chosen && chosen.release !== preferred[series]) {
    say(`  kernel ${preferred[series]} is not offered any more: taking ${chosen.release}, the newest that has a -dbg`);
  }
  return chosen;
}

/** What is already in the cache serves without asking the package lists: the second run needs no network. */
function cachedKernel(series: string): Kernel | undefined {
  const folder = join(cacheDir, 'kernels');
  if (!existsSync(folder)) return undefined;
  const [newest] = readdirSync(folder)
    .filter((name) => name.startsWith(`${series}.`) && name.endsWith('-cloud-amd64'))
    .sort((a, b) => compareReleases(b, a));
  return newest ? kernelIn(join(folder, newest)) : undefined;
}

function kernelIn(folder: string): Kernel {
  const boot = join(folder, 'boot');
  const image = existsSync(boot) ? readdirSync(boot).find((name) => name.startsWith('vmlinuz-')) : undefined;
  const release = image && basename(image).slice('vmlinuz-'.length);
  const modulesDir = join(folder, 'lib/modules', release ?? '');
  if (!release || !existsSync(join(modulesDir, 'kernel'))) {
    throw new SetupFailure(
      `${folder} holds no kernel`,
      'this machine',
      'It must hold boot/vmlinuz-<release> and lib/modules/<release>, as an unpacked Debian kernel package does.',
    );
  }
  return { release, vmlinuzPath: join(boot, image), modulesDir };
}
