import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildOnce } from '../../setup/build-once.ts';
import { cachePath } from '../../setup/cache.ts';
import { command } from '../../setup/command.ts';
import { makeExt4 } from '../../setup/ext4.ts';
import { fingerprint } from '../../setup/fingerprint.ts';
import { pruneBeside } from '../../setup/prune.ts';
import { hostDir } from './namespace.ts';
import type { NodeImage } from './node-image.ts';

/** The images that the nodes begin with, as containerd keeps them in /var/lib/containerd: an emulated node would need a minute to import them. */
export interface ImageStore {
  folder: string;
  /** The same as an ext4 image with free room. */
  diskPath: string;
}

/** The store with the images of these archives. */
export async function ensureImageStore(archives: string[], image: NodeImage): Promise<ImageStore> {
  const script = join(hostDir, 'import-images.sh');
  const name = fingerprint({ paths: [...archives, script, import.meta.filename] });
  const what = `store of ${archives.length} container images`;
  const path = await buildOnce(cachePath('lab', 'image-stores', name), what, async (temporaryPath) => {
    mkdirSync(temporaryPath);
    const folder = join(temporaryPath, 'containerd');
    const unshare = ['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
    await command('unshare', [...unshare, 'sh', script, image.treeDir, folder, ...archives]);
    await makeExt4(folder, join(temporaryPath, 'disk.ext4'), { freeMiB: 6144 });
    pruneBeside(temporaryPath.replace(/\.tmp$/, ''), 3);
  });
  return { folder: join(path, 'containerd'), diskPath: join(path, 'disk.ext4') };
}
