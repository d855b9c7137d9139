import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { buildOnce } from '../setup/build-once.ts';
import { cachePath } from '../setup/cache.ts';
import { command } from '../setup/command.ts';
import { makeExt4 } from '../setup/ext4.ts';
import { fingerprint } from '../setup/fingerprint.ts';
import { pruneBeside } from '../setup/prune.ts';
import {
  addBusyboxLinks,
  addMountPoints,
  addShell,
  compileStatic,
  guestDir,
  makePodImage,
  podImagePackages,
  unpackTree,
} from './debian-tree.ts';

/** What the node itself consists of, with all that it depends on. */
const nodePackages = ['busybox-static', 'dash', 'runc', 'iproute2'];

export interface RootImage {
  /** ext4; every node attaches it with a snapshot of its own, so one serves many nodes at once. */
  imagePath: string;
  busyboxPath: string;
}

/** The node's root disk: Debian packages unpacked, the pods' images, our few programs. It holds no kernel and no agent. */
export async function ensureRootImage(): Promise<RootImage> {
  const name = fingerprint({
    texts: [...nodePackages, '/', ...podImagePackages],
    paths: [guestDir, import.meta.filename, join(import.meta.dirname, 'debian-tree.ts')],
  });
  const folder = await buildOnce(
    cachePath('lab', 'root-images', name),
    'root disk of the lab nodes',
    async (temporaryPath) => {
      const root = join(temporaryPath, 'root');
      await unpackTree(root, nodePackages, 'node');
      addShell(root);
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
      await makePodImage(join(images, 'debian'));
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
  await compileStatic('pause.c', join(pause, 'pause'));
}

async function addPrograms(root: string): Promise<void> {
  await compileStatic('exec-server.c', join(root, 'usr/sbin/exec-server'));
  await compileStatic('oddities.c', join(root, 'usr/local/lib/lab/oddities'));
  for (const name of ['node-init', 'start-pod', 'stop-pod']) {
    const target = join(root, 'usr/sbin', name);
    copyFileSync(join(guestDir, `${name}.sh`), target);
    await command('chmod', ['755', target]);
  }
  copyFileSync(join(guestDir, 'mounts.sh'), join(root, 'usr/local/lib/lab/mounts.sh'));
  mkdirSync(join(root, 'etc'), { recursive: true });
  await command('sh', ['-c', 'echo root:x:0:0:root:/root:/bin/sh >"$1/passwd"', 'sh', join(root, 'etc')]);
  if (existsSync('/etc/os-release')) copyFileSync('/etc/os-release', join(root, 'etc/os-release'));
}
