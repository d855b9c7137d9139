import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cachePath } from '../../setup/cache.ts';
import { ensureHostPackages } from '../../setup/host-packages.ts';
import { ensureNameServer } from '../../setup/kubernetes.ts';
import { openAuthority } from './authority.ts';
import { startApiServer, startControllers } from './control-plane.ts';
import { bootGuest, prepareGuest } from './guest-node.ts';
import { ensureImageStore, type ImageStore } from './image-store.ts';
import { ensureClusterImages } from './images.ts';
import { nameServerRights, startNameServer } from './name-server.ts';
import { closeNamespace, type Namespace, openNamespace, waitFor } from './namespace.ts';
import { startNative } from './native-node.ts';
import { node1, node2 } from './node-files.ts';
import { ensureNodeImage } from './node-image.ts';
import { mustKubectl, type Place, runProgram } from './programs.ts';
import { type ClusterState, clusterFolder, findCluster, saveCluster } from './state.ts';
import { storageObjects, volumeNames } from './storage.ts';

export interface ClusterOptions {
  /** Letters, digits and dashes. */
  name?: string;
  signal?: AbortSignal;
  /** Paths of OCI archives that both nodes have from the beginning, besides the test pods' own images. */
  images?: string[];
  /** For the cluster's files: a new folder, removed with it. */
  folder?: string;
  /** Of node1. */
  memoryMiB?: number;
}

const apiServerLimitSeconds = 180;
const readyLimitSeconds = 400;

/** Fetches and builds all that a cluster is made of. */
export async function prepareCluster() {
  await ensureHostPackages();
  const image = await ensureNodeImage();
  const images = await ensureClusterImages();
  const nameServer = await ensureNameServer();
  return { image, images, nameServer, guest: await prepareGuest(image) };
}

/** Starts a cluster; resolves when both nodes are Ready and have the images. One that does not come up is taken down again. */
export async function launchCluster(options: ClusterOptions, life: { endsWithUs: boolean }): Promise<ClusterState> {
  const name = options.name ?? `cluster-${process.pid}`;
  if (!/^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$/.test(name))
    throw new Error(`"${name}" cannot name a lab cluster: use small letters, digits and dashes`);
  if (process.getuid?.() !== 0) throw new Error('the lab cluster needs root: it makes networks and mounts of its own');
  const prepared = await prepareCluster();
  const store = await ensureImageStore([...prepared.images, ...(options.images ?? [])], prepared.image);
  const folder = options.folder ?? clusterFolder(name);
  if (findCluster(folder)) throw new Error(`lab cluster ${name} is up already: ./dev cluster down takes it down`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const cgroup = `kcorder-lab-${name}`;
  const { treeDir } = prepared.image;
  const namespace = await openNamespace({ folder, cgroup, treeDir, follow: life.endsWithUs });
  try {
    return await fill({ name, folder, cgroup, namespace, prepared, store, options });
  } catch (error) {
    const kept = cachePath('lab', 'cluster-failure');
    rmSync(kept, { recursive: true, force: true });
    if (existsSync(join(folder, 'logs'))) cpSync(join(folder, 'logs'), kept, { recursive: true });
    await closeNamespace(namespace);
    options.signal?.throwIfAborted();
    throw new Error(`lab cluster ${name} did not come up (what its parts said: ${kept})`, { cause: error });
  }
}

async function fill(given: {
  name: string;
  folder: string;
  cgroup: string;
  namespace: Namespace;
  prepared: Awaited<ReturnType<typeof prepareCluster>>;
  store: ImageStore;
  options: ClusterOptions;
}): Promise<ClusterState> {
  const { name, folder, cgroup, namespace, prepared, store, options } = given;
  const { image } = prepared;
  const logDir = join(folder, 'logs');
  mkdirSync(logDir);
  const programDir = join(image.treeDir, 'usr/local/bin');
  const authority = await openAuthority(join(folder, 'keys'));
  const kubeconfig = join(folder, 'admin.kubeconfig');
  writeFileSync(kubeconfig, authority.kubeconfig('admin'), { mode: 0o600 });
  const place: Place = { name, folder, namespace, programDir, kubeconfig };
  for (const volume of volumeNames()) mkdirSync(join(folder, 'node2/var/lib/volumes', volume), { recursive: true });
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, ...(options.signal ? [options.signal] : [])]);
  const token = randomBytes(16).toString('hex');
  const plane = { namespace, folder, logDir, programDir, treeDir: image.treeDir, authority };
  const node = { namespace, image, authority, folder, logDir, signal };
  startApiServer(plane);
  const memoryMiB = options.memoryMiB ?? 1024;
  const booting = bootGuest({ ...node, prepared: prepared.guest, storePath: store.diskPath, token, memoryMiB });
  const starting = startNative({ ...node, cgroup, storeDir: store.folder });
  const parts = [booting, starting, controllers()] as const;
  // of several that fail, the first is told; none may go on writing when the folder is removed
  for (const part of parts) part.catch((error: unknown) => failed.abort(error));
  await Promise.allSettled(parts);
  const [exec, native] = await Promise.all(parts);
  const state: ClusterState = { ...place, exec, native };
  saveCluster(state);
  await ready();
  return state;

  async function controllers(): Promise<void> {
    const isReady = async () =>
      (await runProgram(place, 'kubectl', ['get', '--raw', '/readyz'], { signal })).exitCode === 0;
    await waitFor("the lab cluster's API server is ready", isReady, { seconds: apiServerLimitSeconds, signal });
    startControllers(plane);
    const items = [...storageObjects(), ...nameServerRights];
    const stdin = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    await mustKubectl(place, ['create', '-f', '-'], { stdin, signal });
    startNameServer({ namespace, folder, logDir, programPath: prepared.nameServer, authority });
  }

  async function ready(): Promise<void> {
    const limit = `--timeout=${readyLimitSeconds}s`;
    const nodes = [node1, node2].map((plan) => `node/${plan.name}`);
    // every pod needs the service account, and a controller makes it
    await mustKubectl(place, ['wait', '--for=create', limit, ...nodes, 'serviceaccount/default'], { signal });
    await mustKubectl(place, ['wait', '--for=condition=Ready', limit, ...nodes], { signal });
  }
}
