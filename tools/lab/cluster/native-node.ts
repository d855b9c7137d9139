import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { command } from '../../setup/command.ts';
import { readIfThere } from '../qemu.ts';
import type { Authority } from './authority.ts';
import {
  hostDir,
  type Namespace,
  nameProcess,
  onlyChildOf,
  type ProcessName,
  startMember,
  waitFor,
} from './namespace.ts';
import { node2, nodeFiles } from './node-files.ts';
import type { NodeImage } from './node-image.ts';

const startLimitSeconds = 60;

/** Starts node2 on this machine's kernel; resolves to its first process when containerd answers in it. */
export async function startNative(options: {
  namespace: Namespace;
  image: NodeImage;
  authority: Authority;
  folder: string;
  logDir: string;
  cgroup: string;
  /** The container images that it begins with, see image-store.ts. */
  storeDir: string;
  signal: AbortSignal;
}): Promise<ProcessName> {
  const { namespace, image, folder, cgroup, signal } = options;
  const nodeDir = join(folder, 'node2');
  for (const { path, text } of nodeFiles(node2, options.authority)) {
    const target = join(nodeDir, 'upper', path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text, { mode: 0o600 });
  }
  mkdirSync(join(nodeDir, 'var/lib'), { recursive: true });
  await command('cp', ['-a', '--reflink=auto', options.storeDir, join(nodeDir, 'var/lib/containerd')], { signal });
  const logPath = join(options.logDir, 'node2.log');
  const script = join(hostDir, 'native-node.sh');
  const child = startMember(namespace, logPath, ['sh', script, image.treeDir, nodeDir, cgroup]);
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  const isReady = async () => {
    const said = readIfThere(logPath);
    if (ended) throw new Error(`node2 of the lab cluster did not come up: ${said.trim()}`);
    return /^lab: ready/m.test(said);
  };
  await waitFor('node2 of the lab cluster is up', isReady, { seconds: startLimitSeconds, signal });
  return nameProcess(onlyChildOf(child.pid ?? 0));
}

/** The words before a program that make it one of node2's own. */
export function asNative(first: ProcessName): string[] {
  return ['nsenter', `--target=${first.pid}`, '--net', '--mount', '--pid', '--uts', '--cgroup', '--'];
}
