import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, processStart } from '../../setup/process.ts';

/** A process and its start time in clock ticks since boot: together they name it for good. */
export interface ProcessName {
  pid: number;
  start: string;
}

/** The cluster's own network, mounts and processes. */
export interface Namespace {
  /** Removes what is left of the cluster when it has ended, and ends then. */
  janitor: ProcessName;
  /** Everything in the cluster ends when this one is killed. */
  holder: ProcessName;
  /** Process 1 of the cluster, as this machine counts. */
  first: ProcessName;
}

export const hostDir = join(import.meta.dirname, 'host');

/**
 * Makes the namespaces of a cluster and its network. They end with this process, however that ends, if `follow` is set.
 * `cgroup` names the groups that are removed with it.
 */
export async function openNamespace(options: {
  folder: string;
  cgroup: string;
  treeDir: string;
  follow: boolean;
}): Promise<Namespace> {
  const { folder, cgroup, treeDir, follow } = options;
  const script = [join(hostDir, 'namespace.sh'), treeDir, follow ? 'follow' : 'stay'];
  const janitor = spawn('sh', [join(hostDir, 'hold.sh'), folder, cgroup, ...script], {
    // the pipe that nobody writes to ends with this process
    stdio: [follow ? 'pipe' : 'ignore', 'pipe', openSync(join(folder, 'namespace.log'), 'a')],
    detached: true,
  });
  janitor.unref();
  if (!janitor.stdout || janitor.pid === undefined) throw new Error('the lab cluster needs sh');
  (janitor.stdin as { unref?: () => void } | null)?.unref?.();
  let holder = 0;
  for await (const line of createInterface(janitor.stdout)) {
    if (/^\d+$/.test(line)) holder = Number(line);
    if (line === 'lab: ready') {
      janitor.stdout.destroy();
      return {
        janitor: nameProcess(janitor.pid),
        holder: nameProcess(holder),
        first: nameProcess(onlyChildOf(holder)),
      };
    }
  }
  throw new Error(
    `the lab cluster cannot have a network of its own (it needs root and CAP_SYS_ADMIN): ${readFileSync(join(folder, 'namespace.log'), 'utf8').trim()}`,
  );
}

/** Ends all that runs in the cluster and resolves when nothing of it is left, its folder included. */
export async function closeNamespace({ janitor, holder }: Namespace): Promise<void> {
  if (isAlive(holder.pid, holder.start)) process.kill(holder.pid, 'SIGKILL');
  while (isAlive(janitor.pid, janitor.start)) await sleep(20);
}

export function isOpen({ first }: Namespace): boolean {
  return isAlive(first.pid, first.start);
}

/** The words before a program that make it one of the cluster's: in its network, mounts and processes. */
function asMember({ first }: Namespace): string[] {
  return ['nsenter', `--target=${first.pid}`, '--net', '--mount', '--pid', '--'];
}

/** The words before a program that give it the cluster's network alone. It ends with the process that starts it. */
export function asNeighbour({ first }: Namespace): string[] {
  return ['setpriv', '--pdeathsig', 'KILL', 'nsenter', `--net=/proc/${first.pid}/ns/net`, '--'];
}

/** Starts a program that stays for as long as the cluster does; what it says goes to `logPath`. */
export function startMember(namespace: Namespace, logPath: string, words: string[]): ChildProcess {
  const log = openSync(logPath, 'a');
  const child = spawnWords([...asMember(namespace), ...words], { stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  child.unref();
  return child;
}

export function spawnWords([program = '', ...args]: string[], options: SpawnOptions): ChildProcess {
  return spawn(program, args, options);
}

/** The end of a program: its exit code, 128 + n where a signal n ended it. */
export async function exitCodeOf(child: ChildProcess): Promise<number> {
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return code ?? 128 + (signal ? signalNumber(signal) : 0);
}

function signalNumber(signal: NodeJS.Signals): number {
  return { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGTERM: 15 }[signal as string] ?? 0;
}

export function nameProcess(pid: number): ProcessName {
  return { pid, start: processStart(pid) ?? '' };
}

/** Of a process that has one child. */
export function onlyChildOf(pid: number): number {
  return Number.parseInt(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'), 10);
}

/** Asks again and again until `ask` says true. */
export async function waitFor(
  what: string,
  ask: () => Promise<boolean>,
  limits: { seconds: number; signal?: AbortSignal | undefined },
): Promise<void> {
  const deadline = performance.now() + limits.seconds * 1000;
  while (!(await ask())) {
    limits.signal?.throwIfAborted();
    if (performance.now() > deadline) throw new Error(`${what}: not after ${limits.seconds} s`);
    await sleep(200);
  }
}
