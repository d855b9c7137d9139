import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

const maxProcesses = 256;

/** Kills a process, its group, and the descendants that have left the group. */
export function killTree(pid: number): void {
  for (const target of [...descendants(pid), -pid, pid]) kill(target);
}

/** Kills a child of a process, and its descendants. False when it is none, or has ended already. */
export function killChild(pid: number, parent: number): boolean {
  if (!isChild(pid, parent)) return false;
  for (const target of [...descendants(pid), pid]) kill(target);
  return true;
}

/** Whether a process is a child of another that nobody has waited for. */
export function isChild(pid: number, parent: number): boolean {
  return childrenOf(parent).includes(pid);
}

function kill(target: number): void {
  try {
    process.kill(target, 'SIGKILL');
  } catch {
    // It is gone.
  }
}

/** Resident memory of a process in bytes; 0 when it is gone. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '');
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

/** Resident memory of a process and its descendants in bytes; 0 when it is gone. */
export async function residentBytesOfTree(pid: number): Promise<number> {
  let bytes = 0;
  for (const each of [pid, ...descendants(pid)]) bytes += await residentBytes(each);
  return bytes;
}

function descendants(pid: number): number[] {
  const found: number[] = [];
  const queue = [pid];
  for (let next = queue.shift(); next !== undefined && found.length < maxProcesses; next = queue.shift()) {
    const children = childrenOf(next);
    found.push(...children);
    queue.push(...children);
  }
  return found;
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1');
    return text
      .split(' ')
      .map(Number)
      .filter((child) => child > 0);
  } catch {
    return [];
  }
}
