import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeOciArchive } from '../../images/oci.ts';
import { buildOnce } from '../../setup/build-once.ts';
import { cachePath, repoDir } from '../../setup/cache.ts';
import { fingerprint } from '../../setup/fingerprint.ts';
import { pruneBeside } from '../../setup/prune.ts';
import { addMountPoints, compileStatic, guestDir, makePodImage, podImagePackages } from '../debian-tree.ts';
import { sandboxImage } from './node-files.ts';

/** What the pods of demo-pods.yaml run: busybox with links for its commands, `nc`, Python, /app/beacon.py, a page in /www. */
const testImage = 'registry.local/kcorder-test:1';

/** The paths of the archives that every lab cluster begins with: the pods' sandbox, and the image of the test pods. */
export async function ensureClusterImages(): Promise<string[]> {
  const name = fingerprint({
    texts: [...podImagePackages, sandboxImage, testImage],
    paths: [guestDir, import.meta.filename, join(guestDir, '../debian-tree.ts'), join(repoDir, 'tools/images/oci.ts')],
  });
  const folder = await buildOnce(
    cachePath('lab', 'pod-images', name),
    'images of the test pods',
    async (temporaryPath) => {
      const root = join(temporaryPath, 'root');
      mkdirSync(root, { recursive: true });
      addMountPoints(root);
      await compileStatic('pause.c', join(root, 'pause'));
      await writeImage(root, { name: sandboxImage, entrypoint: ['/pause'] }, join(temporaryPath, 'pause.tar'));
      rmSync(root, { recursive: true });
      await makePodImage(root);
      mkdirSync(join(root, 'www'));
      writeFileSync(join(root, 'www/index.html'), 'checkout\n');
      await writeImage(root, { name: testImage }, join(temporaryPath, 'kcorder-test.tar'));
      rmSync(root, { recursive: true });
      pruneBeside(temporaryPath.replace(/\.tmp$/, ''), 1);
    },
  );
  return ['pause.tar', 'kcorder-test.tar'].map((file) => join(folder, file));
}

/** Writes an image of the one layer `root`. */
async function writeImage(root: string, image: { name: string; entrypoint?: string[] }, path: string): Promise<void> {
  await writeOciArchive(
    {
      name: image.name,
      recipe: {
        layers: [root],
        env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
        labels: {},
        user: '0:0',
        workingDir: '/',
        entrypoint: image.entrypoint ?? [],
      },
      folderOf: (layer) => layer,
      epochSeconds: 0,
      gzip: false,
    },
    path,
  );
}
