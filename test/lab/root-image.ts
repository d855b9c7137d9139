import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { downloadWithDependencies, unpackDebs } from '../setup/apt-download.ts';
import { buildOnce } from '../setup/build-once.ts';
import { cachePath } from '../setup/cache.ts';
import { command } from '../setup/command.ts';
import { makeExt4 } from '../setup/ext4.ts';
import { SetupFailure } from '../setup/failure.ts';
import { fingerprint } from '../setup/fingerprint.ts';
import { pruneBeside } from '../setup/prune.ts';

/** What the node itself consists of, and what the images of its pods do (each with all that it depends on). */
// dash, because busybox's own shell prefers its own `ip` to the real one.
const nodePackages = ['busybox-static', 'dash', 'runc', 'iproute2'];
const podImagePackages = ['busybox-static', 'netcat-openbsd', 'python3-minimal'];

const guestDir = join(import.meta.dirname, 'guest');

export interface RootImage {
  /** ext4; every node attaches it with a snapshot of its own, so one serves many nodes at once. */
  imagePath: string;
  busyboxPath: string;
}

/** The node's root disk: Debian packages unpacked, the pods' images, our few programs. It holds no kernel and no agent. */
export async function ensureRootImage(): Promise<RootImage> {
  const name = fingerprint({
    texts: [...nodePackages, '/', ...podImagePackages],
    paths: [guestDir, import.meta.filename],
  });
  const folder = await buildOnce(
    cachePath('lab', 'root-images', name),
    'root disk of the lab nodes',
    async (temporaryPath) => {
      const root = join(temporaryPath, 'root');
      await unpackTree(root, nodePackages, 'node');
      if (!existsSync(join(root, 'usr/bin/sh'))) symlinkSync('dash', join(root, 'usr/bin/sh'));
      await addBusyboxLinks(root);
      for (const path of [
        'proc',
        'sys',
        'dev',
        'run',
        'tmp',
        'root',
        'opt',
        'var/log',
        'usr/local/bin',
        'usr/local/lib/lab',
      ]) {
        mkdirSync(join(root, path), { recursive: true });
      }
      const images = join(root, 'var/lib/images');
      await unpackTree(join(images, 'debian'), podImagePackages, 'pods');
      symlinkSync('nc.openbsd', join(images, 'debian/usr/bin/nc'));
      await addBusyboxLinks(join(images, 'debian'));
      mkdirSync(join(images, 'debian/app'));
      copyFileSync(join(guestDir, 'beacon.py'), join(images, 'debian/app/beacon.py'));
      addMountPoints(join(images, 'debian'));
      await makeSmallImages(images, join(root, 'usr/bin/busybox'));
      await addPrograms(root);
      await makeExt4(root, join(temporaryPath, 'root.ext4'), { freeMiB: 1024 });
      copyFileSync(join(root, 'usr/bin/busybox'), join(temporaryPath, 'busybox'));
      rmSync(root, { recursive: true });
      pruneBeside(temporaryPath.replace(/\.tmp$/, ''));
    },
  );
  return { imagePath: join(folder, 'root.ext4'), busyboxPath: join(folder, 'busybox') };
}

async function unpackTree(root: string, packages: string[], folder: string): Promise<void> {
  const debs = await downloadWithDependencies(packages, folder).catch((cause: unknown) => {
    throw new SetupFailure(
      `cannot fetch ${packages.join(', ')} for the lab node`,
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
async function addBusyboxLinks(root: string): Promise<void> {
  const applets = (await command(join(root, 'usr/bin/busybox'), ['--list'])).trim().split('\n');
  for (const applet of applets) {
    const present = ['usr/bin', 'usr/sbin'].some((folder) => readdirSync(join(root, folder)).includes(applet));
    if (!present) symlinkSync('busybox', join(root, 'usr/bin', applet));
  }
}

async function makeSmallImages(images: string, busyboxPath: string): Promise<void> {
  const busybox = join(images, 'busybox');
  mkdirSync(join(busybox, 'bin'), { recursive: true });
  copyFileSync(busyboxPath, join(busybox, 'bin/busybox'));
  for (const applet of ['sh', 'httpd', 'sleep', 'cat', 'ls', 'nc'])
    symlinkSync('busybox', join(busybox, 'bin', applet));
  mkdirSync(join(busybox, 'www'));
  addMountPoints(busybox);
  const pause = join(images, 'pause');
  mkdirSync(pause);
  addMountPoints(pause);
  await compile('pause.c', join(pause, 'pause'));
}

async function addPrograms(root: string): Promise<void> {
  await compile('exec-server.c', join(root, 'usr/sbin/exec-server'));
  await compile('oddities.c', join(root, 'usr/local/lib/lab/oddities'));
  for (const name of ['node-init', 'start-pod', 'stop-pod']) {
    const target = join(root, 'usr/sbin', name);
    copyFileSync(join(guestDir, `${name}.sh`), target);
    await command('chmod', ['755', target]);
  }
  mkdirSync(join(root, 'etc'), { recursive: true });
  await command('sh', ['-c', 'echo root:x:0:0:root:/root:/bin/sh >"$1/passwd"', 'sh', join(root, 'etc')]);
  if (existsSync('/etc/os-release')) copyFileSync('/etc/os-release', join(root, 'etc/os-release'));
}

function addMountPoints(image: string): void {
  for (const path of ['proc', 'sys', 'dev', 'etc', 'tmp', 'run']) mkdirSync(join(image, path), { recursive: true });
}

/** Static, so that the program runs in an image that holds nothing else. */
async function compile(source: string, target: string): Promise<void> {
  await command('gcc', ['-O2', '-static', '-pthread', '-o', target, join(guestDir, source)]);
}
