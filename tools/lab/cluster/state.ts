import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../../setup/cache.ts';
import type { ExecAddress } from '../exec-client.ts';
import { isOpen, type Namespace, type ProcessName } from './namespace.ts';

/** What is written down of a cluster that is up, in its folder, so that another process can use it and take it down. */
export interface ClusterState {
  name: string;
  folder: string;
  namespace: Namespace;
  /** Where Kubernetes' programs lie. */
  programDir: string;
  /** Of an administrator; its address is one of the cluster's network. */
  kubeconfig: string;
  /** Where node1's exec-server answers. */
  exec: ExecAddress;
  /** The first process of node2. */
  native: ProcessName;
}

const clustersDir = join(cacheDir, 'lab', 'clusters');

export function clusterFolder(name: string): string {
  return join(clustersDir, name);
}

export function saveCluster(state: ClusterState): void {
  const path = join(state.folder, 'cluster.json');
  mkdirSync(state.folder, { recursive: true });
  writeFileSync(`${path}.tmp`, JSON.stringify(state, null, 2), { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}

/** The cluster in that folder if it is up. */
export function findCluster(folder: string): ClusterState | undefined {
  const path = join(folder, 'cluster.json');
  if (!existsSync(path)) return undefined;
  const state = JSON.parse(readFileSync(path, 'utf8')) as ClusterState;
  return isOpen(state.namespace) ? state : undefined;
}

/** All clusters that are up, by name. */
export function listClusters(): ClusterState[] {
  if (!existsSync(clustersDir)) return [];
  return readdirSync(clustersDir)
    .sort()
    .map((name) => findCluster(clusterFolder(name)))
    .filter((state) => state !== undefined);
}
