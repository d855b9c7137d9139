import { copyFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildOnce } from '../../setup/build-once.ts';
import { cachePath } from '../../setup/cache.ts';
import { command } from '../../setup/command.ts';
import { makeExt4 } from '../../setup/ext4.ts';
import { fingerprint } from '../../setup/fingerprint.ts';
import { ensureKubernetes } from '../../setup/kubernetes.ts';
import { pruneBeside } from '../../setup/prune.ts';
import { addBusyboxLinks, addShell, compileStatic, guestDir, unpackTree } from '../debian-tree.ts';

/** What both nodes consist of, with all that it depends on; etcd is the control plane's, which takes it from here. */
const packages = [
  ...['base-files', 'busybox-static', 'ca-certificates', 'dash', 'iproute2', 'iptables', 'mount', 'nftables'],
  ...['containerd', 'containernetworking-plugins', 'etcd-server', 'runc'],
];

const folders = [
  ...['dev', 'proc', 'root', 'run', 'sys', 'tmp', 'etc/cni/net.d', 'etc/containerd', 'etc/kubernetes', 'old-root'],
  ...['usr/local/bin', 'usr/local/lib/lab', 'var/lib/containerd', 'var/lib/kubelet', 'var/lib/volumes', 'var/log'],
];

const nodeDir = join(import.meta.dirname, 'node');

export interface NodeImage {
  /** The root of a node as a folder, with all parts of Kubernetes in usr/local/bin; nobody may write into it. */
  treeDir: string;
  /** The same as an ext4 image with free room. */
  imagePath: string;
  busyboxPath: string;
}

/** What the nodes of a cluster boot or enter: Debian packages unpacked, Kubernetes, our few scripts. It holds no kernel. */
export async function ensureNodeImage(): Promise<NodeImage> {
  const kubernetesDir = await ensureKubernetes();
  const name = fingerprint({
    texts: [...packages, ...folders, kubernetesDir.split('/').slice(-2).join('/')],
    paths: [nodeDir, guestDir, import.meta.filename, join(guestDir, '../debian-tree.ts')],
  });
  const folder = await buildOnce(
    cachePath('lab', 'cluster-images', name),
    'root of the cluster nodes',
    async (temporaryPath) => {
      const tree = join(temporaryPath, 'tree');
      await unpackTree(tree, packages, 'cluster');
      addShell(tree);
      await addBusyboxLinks(tree);
      for (const path of folders) mkdirSync(join(tree, path), { recursive: true });
      // Debian makes these when it installs: by the kernel's newer filter or, as start-node may choose, the older one.
      for (const suffix of ['', '-save', '-restore'])
        for (const program of ['iptables', 'ip6tables'])
          symlinkSync('xtables-nft-multi', join(tree, 'usr/sbin', `${program}${suffix}`));
      writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
      writeFileSync(join(tree, 'etc/group'), 'root:x:0:\n');
      writeFileSync(join(tree, 'etc/hosts'), '127.0.0.1 localhost\n');
      writeFileSync(join(tree, 'etc/resolv.conf'), '');
      for (const script of readdirSync(nodeDir)) {
        const target = join(tree, 'usr/sbin', script.replace(/\.sh$/, ''));
        copyFileSync(join(nodeDir, script), target);
        await command('chmod', ['755', target]);
      }
      copyFileSync(join(guestDir, 'mounts.sh'), join(tree, 'usr/local/lib/lab/mounts.sh'));
      await compileStatic('exec-server.c', join(tree, 'usr/sbin/exec-server'));
      await command('cp', ['-a', `${kubernetesDir}/.`, join(tree, 'usr/local/bin')]);
      await makeExt4(tree, join(temporaryPath, 'root.ext4'), { freeMiB: 2048 });
      pruneBeside(temporaryPath.replace(/\.tmp$/, ''), 1);
    },
  );
  const treeDir = join(folder, 'tree');
  return { treeDir, imagePath: join(folder, 'root.ext4'), busyboxPath: join(treeDir, 'usr/bin/busybox') };
}
