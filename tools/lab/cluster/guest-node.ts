import { join } from 'node:path';
import { freePort } from '../../../collector/testing/free-port.ts';
import { ensureEmulator } from '../../setup/emulator.ts';
import { findProgram } from '../../setup/environment.ts';
import { ensureKernel } from '../../setup/kernel.ts';
import { chooseAccelerator } from '../accelerator.ts';
import { boot } from '../boot.ts';
import type { ExecAddress } from '../exec-client.ts';
import { ensureInitrd } from '../initrd.ts';
import { ensureLabNet } from '../network.ts';
import { writeTar } from '../settings.ts';
import type { Authority } from './authority.ts';
import type { Namespace } from './namespace.ts';
import { node1, nodeFiles } from './node-files.ts';
import type { NodeImage } from './node-image.ts';

/** What containerd, CNI's bridge and kube-proxy need of the kernel and Debian builds as modules. */
const modules = [
  ...['br_netfilter', 'nf_conntrack_netlink', 'nf_tables', 'nft_compat', 'nft_chain_nat', 'nft_ct', 'xt_MASQUERADE'],
  ...['xt_REDIRECT', 'xt_addrtype', 'xt_comment', 'xt_conntrack', 'xt_mark', 'xt_multiport', 'xt_nat', 'xt_statistic'],
  ...['xt_limit', 'xt_recent', 'xt_tcpudp'],
];

/** The kernel, initrd and accelerator of node1, made or found before a cluster begins. */
export async function prepareGuest(image: NodeImage) {
  const kernel = await ensureKernel('6.1');
  const initrdPath = await ensureInitrd(kernel, image.busyboxPath, modules);
  const labNetPath = await ensureLabNet();
  if (!labNetPath) throw new Error('the lab cluster needs a tap device: run as root, with /dev/net/tun');
  const emulator = await ensureEmulator();
  return { emulator, kernel, initrdPath, labNetPath, accel: await chooseAccelerator(emulator, kernel, initrdPath) };
}

/** Boots node1 in the cluster's network and processes; resolves when Kubernetes' part in it runs. */
export async function bootGuest(options: {
  prepared: Awaited<ReturnType<typeof prepareGuest>>;
  namespace: Namespace;
  image: NodeImage;
  authority: Authority;
  folder: string;
  logDir: string;
  /** Path of the disk with the container images. */
  storePath: string;
  token: string;
  memoryMiB: number;
  signal: AbortSignal;
}): Promise<ExecAddress> {
  const { prepared, namespace, image, folder, token } = options;
  const settingsPath = join(folder, 'node1.tar');
  await writeTar(settingsPath, nodeFiles(node1, options.authority, token));
  const execPort = await freePort();
  const pid = String(namespace.first.pid);
  const ended = await boot(
    {
      emulator: prepared.emulator,
      accel: prepared.accel,
      memoryMiB: options.memoryMiB,
      la57: false,
      vmlinuzPath: prepared.kernel.vmlinuzPath,
      initrdPath: prepared.initrdPath,
      consolePath: join(options.logDir, 'node1-console.log'),
      logPath: join(options.logDir, 'qemu.log'),
      disks: [
        { path: image.imagePath, kind: 'snapshot' },
        { path: options.storePath, kind: 'snapshot' },
        { path: settingsPath, kind: 'readonly' },
      ],
      execPort,
      // QEMU stays in this machine's network, where its exec-server's port is, and ends with the cluster's processes
      tapCommand: [
        findProgram('nsenter') ?? 'nsenter',
        ...[`--pid=/proc/${pid}/ns/pid`, '--'],
        ...[prepared.labNetPath, 'join', pid, 'br0'],
      ],
      endsWithUs: false,
    },
    () => {},
    options.signal,
  );
  if (ended.kind === 'failed') throw new Error(`node1 of the lab cluster did not come up: ${ended.why}`);
  return { port: execPort, token };
}
