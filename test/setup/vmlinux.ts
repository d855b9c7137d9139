import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { downloadWithDependencies } from './apt-download.ts';
import { buildOnce } from './build-once.ts';
import { cachePath } from './cache.ts';
import { command } from './command.ts';
import { SetupFailure } from './failure.ts';
import type { Kernel } from './kernel.ts';

/** The path of the kernel's vmlinux with its DWARF: 283 MB to download, 590 MB kept. */
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
      // it depends on nothing, so this is that one package; unlike `apt-get download` it goes on with a cut download
      const debs = await downloadWithDependencies([name], name).catch((cause: unknown) => {
        throw new SetupFailure(
          `cannot fetch ${name}`,
          'Debian packages',
          'If Debian has dropped this build, `./dev clean` and set up again with the newest; else check the network and try again.',
          cause,
        );
      });
      const unpacked = `${temporaryPath}.unpacked`;
      for (const deb of debs) {
        // vmlinux alone: the modules' symbols would be another 3 GB
        const script = 'mkdir -p "$2" && dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" "./usr/lib/debug/boot"';
        await command('bash', ['-o', 'pipefail', '-c', script, 'bash', deb, unpacked]);
      }
      renameSync(join(unpacked, 'usr/lib/debug/boot', `vmlinux-${kernel.release}`), temporaryPath);
      rmSync(unpacked, { recursive: true });
      for (const deb of debs) rmSync(deb);
    },
  );
}

/** A folder that the user gave may hold the -dbg package too. */
function vmlinuxBeside(kernel: Kernel): string | undefined {
  const folder = join(kernel.vmlinuzPath, '../../usr/lib/debug/boot');
  const name = existsSync(folder)
    ? readdirSync(folder).find((file) => file === `vmlinux-${kernel.release}`)
    : undefined;
  return name && join(folder, name);
}
