import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheDir } from '../setup/cache.ts';
import { isAlive } from '../setup/process.ts';
import type { ExecAddress } from './exec-client.ts';

/** What is written down of a node that is up, in its folder, so that another process can use it and take it down. */
export interface NodeState {
  name: string;
  /** QEMU's process, and its start time in clock ticks since boot: together they name it for good. */
  pid: number;
  processStart: string;
  folder: string;
  consolePath: string;
  exec: ExecAddress;
  /** Set where the node has a network of its own: ports of this machine must be made reachable for it, see network.ts. */
  labNetPath?: string;
  kernelRelease: string;
  memoryMiB: number;
  la57: boolean;
  accel: string;
}

const nodesDir = join(cacheDir, 'lab', 'nodes');

export function nodeFolder(name: string): string {
  return join(nodesDir, name);
}

export function save(state: NodeState): void {
  mkdirSync(state.folder, { recursive: true });
  writeFileSync(join(state.folder, 'node.json.tmp'), JSON.stringify(state, null, 2), { mode: 0o600 });
  renameSync(join(state.folder, 'node.json.tmp'), join(state.folder, 'node.json'));
}

/** The node of that name if it is up. */
export function find(name: string): NodeState | undefined {
  const path = join(nodeFolder(name), 'node.json');
  if (!existsSync(path)) return undefined;
  const state = JSON.parse(readFileSync(path, 'utf8')) as NodeState;
  return isAlive(state.pid, state.processStart) ? state : undefined;
}

/** All nodes that are up, by name. */
export function list(): NodeState[] {
  if (!existsSync(nodesDir)) return [];
  return readdirSync(nodesDir)
    .sort()
    .map(find)
    .filter((state) => state !== undefined);
}

/** Ends QEMU and removes the node's folder. */
export async function end(state: NodeState): Promise<void> {
  if (isAlive(state.pid, state.processStart)) process.kill(state.pid, 'SIGKILL');
  while (isAlive(state.pid, state.processStart)) await sleep(20);
  rmSync(state.folder, { recursive: true, force: true });
}
