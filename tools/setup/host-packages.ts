import { existsSync } from 'node:fs';
import { cachePath } from './cache.ts';
import { command } from './command.ts';
import { findProgram } from './environment.ts';
import { SetupFailure } from './failure.ts';
import { withLock } from './lock.ts';
import { say, step } from './progress.ts';

/** What the lab needs on this machine: a program (or a file) that shows it is there, and the Debian package it comes in. */
export const hostPackages = [
  { package: 'kmod', sign: 'depmod' },
  { package: 'e2fsprogs', sign: 'mke2fs' },
  { package: 'gcc', sign: 'gcc' },
  { package: 'libc6-dev', sign: '/usr/include/stdio.h' },
  { package: 'xz-utils', sign: 'xz' },
  { package: 'openssl', sign: 'openssl' },
] as const;

export function missingHostPackages(): string[] {
  return hostPackages
    .filter(({ sign }) => (sign.startsWith('/') ? !existsSync(sign) : !findProgram(sign)))
    .map((entry) => entry.package);
}

export async function ensureHostPackages(): Promise<void> {
  const missing = missingHostPackages();
  if (missing.length > 0) await installPackages(missing);
}

/** Installs Debian packages on this machine: as root, or by sudo (which may ask for a password on the terminal). */
export async function installPackages(names: string[]): Promise<void> {
  await withLock(cachePath('apt-install.lock'), async () => {
    const install = ['install', '-y', '-q', '--no-install-recommends', ...names];
    await step(`install ${names.join(', ')}`, async () => {
      try {
        await asRoot(['apt-get', ...install]);
      } catch {
        say('  the package lists may be old: refreshing them');
        await refreshPackageLists();
        await asRoot(['apt-get', ...install]);
      }
    }).catch((cause: unknown) => {
      throw new SetupFailure(
        `cannot install ${names.join(', ')} on this machine`,
        'Debian packages',
        `Run \`apt-get install ${names.join(' ')}\` yourself, then try again.`,
        cause,
      );
    });
  });
}

async function refreshPackageLists(): Promise<void> {
  await asRoot(['apt-get', 'update', '-q']);
}

async function asRoot(args: string[]): Promise<void> {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  if (process.getuid?.() === 0) {
    await command(args[0] ?? '', args.slice(1), { env });
    return;
  }
  if (!findProgram('sudo')) throw new Error('needs root: neither are we root nor is there sudo');
  // sudo asks on the terminal itself, so it works although our standard input is not passed on
  await command('sudo', ['DEBIAN_FRONTEND=noninteractive', ...args], {});
}
