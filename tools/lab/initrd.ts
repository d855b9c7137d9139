import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { buildOnce } from '../setup/build-once.ts';
import { cachePath } from '../setup/cache.ts';
import { command } from '../setup/command.ts';
import { fingerprint } from '../setup/fingerprint.ts';
import type { Kernel } from '../setup/kernel.ts';
import { type CpioEntry, cpio } from './cpio.ts';

/** What every node needs and Debian builds as modules. */
const basicModules = ['virtio_pci', 'virtio_blk', 'virtio_net', 'virtio-rng', 'ext4', 'overlay', 'veth', 'bridge'];

const initPath = join(import.meta.dirname, 'guest/initrd-init.sh');

/** The initrd for a kernel: busybox, the modules (and `furtherModules`) in the order in which they must be loaded, and the first program. */
export async function ensureInitrd(
  kernel: Kernel,
  busyboxPath: string,
  furtherModules: readonly string[] = [],
): Promise<string> {
  const moduleNames = [...basicModules, ...furtherModules];
  const name = `${kernel.release}-${fingerprint({ texts: [kernel.modulesDir, ...moduleNames], paths: [initPath, busyboxPath] })}`;
  return await buildOnce(
    cachePath('lab', 'initrds', `${name}.zst`),
    `initrd for ${kernel.release}`,
    async (temporaryPath) => {
      const modules = await modulePaths(kernel, moduleNames);
      const entries: CpioEntry[] = [
        ...['bin', 'proc', 'sys', 'dev', 'root', 'modules'].map((path) => ({ path, kind: 'folder' as const })),
        { path: 'bin/busybox', kind: 'file', content: readFileSync(busyboxPath), executable: true },
        { path: 'init', kind: 'file', content: readFileSync(initPath), executable: true },
      ];
      const order: string[] = [];
      for (const path of modules) {
        const target = `modules/${basename(path).replace(/\.xz$/, '')}`;
        entries.push({ path: target, kind: 'file', content: await moduleBytes(path) });
        order.push(`/${target}\n`);
      }
      entries.push({ path: 'modules.load', kind: 'file', content: Buffer.from(order.join('')) });
      writeFileSync(temporaryPath, zstdCompressSync(cpio(entries)));
    },
  );
}

async function modulePaths(kernel: Kernel, moduleNames: string[]): Promise<string[]> {
  const root = dirname(dirname(dirname(kernel.modulesDir)));
  const paths = new Set<string>();
  for (const name of moduleNames) {
    const printed = await command('modprobe', ['-d', root, '-S', kernel.release, '--show-depends', name]);
    for (const line of printed.split('\n')) {
      const path = /^insmod (\S+)/.exec(line)?.[1];
      if (path) paths.add(path);
    }
  }
  return [...paths];
}

async function moduleBytes(path: string): Promise<Buffer> {
  if (!path.endsWith('.xz')) return readFileSync(path);
  const plainPath = cachePath('lab', 'initrds', `${basename(path)}.plain`);
  await command('xz', ['--decompress', '--stdout', path], { stdoutPath: plainPath });
  return readFileSync(plainPath);
}
