import { readFileSync } from 'node:fs';

/** The start time of a process in clock ticks since boot, as /proc says it: with the pid it names a process for good. */
export function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // the command name in parentheses may hold anything, so count from its end: field 22 is the 20th after it
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** Whether the process lives, and is the one that started at `start` if that is given. A zombie does not live. */
export function isAlive(pid: number, start?: string): boolean {
  const now = processStart(pid);
  if (now === undefined || (start && start !== now)) return false;
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
