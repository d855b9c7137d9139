import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { downloadWithDependencies, unpackDebs } from '../setup/apt-download.ts';
import { command } from '../setup/command.ts';
import { SetupFailure } from '../setup/failure.ts';

export const guestDir = join(import.meta.dirname, 'guest');

/** What the image of the test pods consists of, with all that it depends on. */
export const podImagePackages = ['busybox-static', 'netcat-openbsd', 'python3-minimal'];

/** Unpacks Debian packages with all that they depend on into the new folder `root`, without what a lab never reads. */
export async function unpackTree(root: string, packages: string[], folder: string): Promise<void> {
  const debs = await downloadWithDependencies(packages, folder).catch((cause: unknown) => {
    throw new SetupFailure(
      `cannot fetch ${packages.join(', ')} for the lab`,
      'Debian packages',
      'Run `apt-get update` and check the network, then try again.',
      cause,
    );
  });
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    mkdirSync(join(root, 'usr', name), { recursive: true });
    symlinkSync(`usr/${name}`, join(root, name));
  }
  await unpackDebs(debs, root);
  for (const path of ['usr/share', 'usr/lib/x86_64-linux-gnu/gconv', 'usr/include', 'var']) {
    rmSync(join(root, path), { recursive: true, force: true });
  }
}

/** A link for every busybox command that no package has brought. */
export async function addBusyboxLinks(root: string): Promise<void> {
  const applets = (await command(join(root, 'usr/bin/busybox'), ['--list'])).trim().split('\n');
  for (const applet of applets) {
    const present = ['usr/bin', 'usr/sbin'].some((folder) => readdirSync(join(root, folder)).includes(applet));
    if (!present) symlinkSync('busybox', join(root, 'usr/bin', applet));
  }
}

/** The image of the test pods in the new folder `root`: busybox, `nc`, Python and the script beacon.py. */
export async function makePodImage(root: string): Promise<void> {
  await unpackTree(root, podImagePackages, 'pods');
  symlinkSync('nc.openbsd', join(root, 'usr/bin/nc'));
  await addBusyboxLinks(root);
  mkdirSync(join(root, 'app'));
  copyFileSync(join(guestDir, 'beacon.py'), join(root, 'app/beacon.py'));
  addMountPoints(root);
}

export function addMountPoints(image: string): void {
  for (const path of ['proc', 'sys', 'dev', 'etc', 'tmp', 'run']) mkdirSync(join(image, path), { recursive: true });
}

/** Static, so that the program runs in an image that holds nothing else. */
export async function compileStatic(source: string, target: string): Promise<void> {
  await command('gcc', ['-O2', '-static', '-pthread', '-o', target, join(guestDir, source)]);
}

/** A shell at `/bin/sh` that is not busybox's own: that one prefers its own `ip` and `mount` to the real ones. */
export function addShell(root: string): void {
  if (!existsSync(join(root, 'usr/bin/sh'))) symlinkSync('dash', join(root, 'usr/bin/sh'));
}
