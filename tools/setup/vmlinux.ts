import { existsSync, readdirSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { downloadWithDependencies } from './apt-download.ts';
import { buildOnce } from './build-once.ts';
import { cachePath } from './cache.ts';
import { command } from './command.ts';
import { SetupFailure } from './failure.ts';
import { ensureKernelLists, type Kernel } from './kernel.ts';

/** Returns the path of the kernel's vmlinux with its DWARF: about 300 MB to download, 600 MB kept. */
export async function ensureVmlinux(kernel: Kernel): Promise<string> {
  return await buildOnce(
    cachePath('vmlinux', kernel.release),
    `vmlinux of ${kernel.release}`,
    async (temporaryPath) => {
      const beside = vmlinuxBeside(kernel);
      if (beside) {
        await command('ln', ['-s', beside, temporaryPath]);
        return;
      }
      const name = `linux-image-${kernel.release}-dbg`;
      const debs = await fetchDebugPackage(name, kernel);
      const unpacked = `${temporaryPath}.unpacked`;
      // vmlinux alone: the modules' symbols would be another 3 GB
      const script =
        'mkdir -p "$2" && dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --wildcards "./usr/lib/debug/*vmlinux*"';
      const deb = debs.find((path) => basename(path).startsWith(`${name}_`)) ?? '';
      await command('bash', ['-o', 'pipefail', '-c', script, 'bash', deb, unpacked]);
      // since 6.19 what is in boot is a link
      renameSync(realpathSync(join(unpacked, 'usr/lib/debug/boot', `vmlinux-${kernel.release}`)), temporaryPath);
      rmSync(unpacked, { recursive: true });
      for (const path of debs) rmSync(path);
    },
  );
}

/** Returns whether Debian offers the kernel's vmlinux with its DWARF, or it is in the cache already. */
export async function hasVmlinux(kernel: Kernel): Promise<boolean> {
  if (existsSync(cachePath('vmlinux', kernel.release)) || vmlinuxBeside(kernel)) return true;
  const { options } = await ensureKernelLists();
  const offered = await command('apt-cache', [...options, 'pkgnames', `linux-image-${kernel.release}-dbg`]);
  return offered.trim() !== '';
}

/** Downloads the package with `apt-get install`, which resumes a download that was cut, as `apt-get download` does not. */
async function fetchDebugPackage(name: string, kernel: Kernel): Promise<string[]> {
  const lists = await ensureKernelLists();
  return await downloadWithDependencies([name], name, lists).catch((cause: unknown) => {
    throw new SetupFailure(
      `cannot fetch ${name}`,
      'Debian packages',
      `If Debian has dropped kernel ${kernel.release}, \`./dev clean\` and set up again with the newest; else check the network and try again.`,
      cause,
    );
  });
}

/** Finds the vmlinux of a -dbg package that was unpacked into the kernel's folder. */
function vmlinuxBeside(kernel: Kernel): string | undefined {
  const folder = join(kernel.modulesDir, '../../../usr/lib/debug/boot');
  const name = existsSync(folder)
    ? readdirSync(folder).find((file) => file === `vmlinux-${kernel.release}`)
    : undefined;
  return name && join(folder, name);
}
