// Why it is done this way: docs/decisions/028-emulator-and-kernels.md

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { downloadWithDependencies, unpackDebs } from './apt-download.ts';
import { buildOnce } from './build-once.ts';
import { cachePath } from './cache.ts';
import { command } from './command.ts';
import { type DebianLists, ensureDebianLists } from './debian-lists.ts';
import { SetupFailure } from './failure.ts';
import { say } from './progress.ts';

/** The build that all tests ran with; when Debian has dropped it, the newest of the same suite takes its place. */
const preferredVersion = '1:10.0.13+ds-0+deb13u1';

/**
 * Returns the words that run QEMU: that of Debian 13 with its own libraries and loader, unpacked into the cache, so that nothing is
 * installed and any Debian serves. The QEMU 7.2 of Debian 12 crashes guests: it panics kernels from 6.12 on and ends V8 at random.
 */
export async function ensureEmulator(): Promise<readonly string[]> {
  const root = await buildOnce(cachePath('qemu', '10.0'), 'QEMU of Debian 13', async (temporaryPath) => {
    const lists = await ensureDebianLists('trixie', ['trixie', 'trixie-security']);
    const debs = await download(lists).catch(async (cause: unknown) => {
      say('  the package lists may be old: refreshing them');
      await lists.refresh();
      return await download(lists).catch(() => {
        throw new SetupFailure('cannot fetch QEMU', 'Debian packages', 'Check the network, then try again.', cause);
      });
    });
    mkdirSync(temporaryPath);
    await unpackDebs(debs, temporaryPath);
  });
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu');
  const firmware = ['qemu', 'seabios', 'ipxe/qemu'].flatMap((folder) => ['-L', join(root, 'usr/share', folder)]);
  return [
    join(libraries, 'ld-linux-x86-64.so.2'),
    '--library-path',
    libraries,
    join(root, 'usr/bin/qemu-system-x86_64'),
    ...firmware,
  ];
}

async function download(lists: DebianLists): Promise<string[]> {
  const offered = await command('apt-cache', [...lists.options, 'madison', 'qemu-system-x86']);
  const isOffered = offered.split('\n').some((line) => line.split('|')[1]?.trim() === preferredVersion);
  if (!isOffered) say(`  QEMU ${preferredVersion} is not offered any more: taking the newest of Debian 13`);
  return await downloadWithDependencies([`qemu-system-x86${isOffered ? `=${preferredVersion}` : ''}`], 'qemu', lists);
}
