import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { Duplex, type Readable, type Writable } from 'node:stream';
import { killTree } from './process-tree.ts';

const stderrLimitBytes = 2048;
/** Who writes more waits: nobody reads it, and it is in no budget. */
const stderrAtOnce = { bytes: 1 << 20, ms: 100 };
const lowPriority = 10;

/** A running program in a process group of its own. */
export interface Child {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** The other ends of its file descriptors from 3 on. */
  readonly sockets: readonly Duplex[];
  /** Settles when the program has exited and its output is closed; never rejects. */
  readonly ended: Promise<ChildEnd>;
  /** Kills the program and all that it has started. */
  kill(): void;
}

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last 2 KiB of its stderr. */
  readonly stderr: string;
}

/** Starts a program at low priority, as the first to go when memory runs out, with exactly this environment. Throws the system's error when it cannot be started. */
export async function startChild(
  argv: readonly string[],
  options: {
    readonly cwd: string;
    readonly env: Readonly<Record<string, string>>;
    /** How many sockets to us it gets besides. */
    readonly sockets?: number;
    /** A descriptor of ours that it gets behind them; without it, one of nothing. */
    readonly inherited?: number | undefined;
  },
): Promise<Child> {
  const [program = '', ...rest] = argv;
  const { cwd, env } = options;
  const stdio = Array.from({ length: 3 + (options.sockets ?? 0) }, () => 'pipe' as const);
  const inherited = options.inherited ?? 'ignore';
  const child = spawn(program, rest, {
    cwd,
    env,
    detached: true,
    stdio: [...stdio, inherited],
  }) as ChildProcessWithoutNullStreams;
  const { pid } = child;
  if (pid === undefined) {
    await new Promise((_, reject) => child.once('error', reject));
    throw new Error('unreachable: a program without a pid did not fail');
  }
  child.on('error', () => {});
  // A program that ends without reading its input breaks the pipe; its exit tells why.
  child.stdin.on('error', () => {});
  const sockets = (child.stdio as readonly unknown[]).slice(3).filter((socket) => socket instanceof Duplex);
  for (const socket of sockets) socket.on('error', () => {});
  let stderr = '';
  let read = 0;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-stderrLimitBytes);
    read += text.length;
    if (read < stderrAtOnce.bytes) return;
    read = 0;
    child.stderr.pause();
    setTimeout(() => child.stderr.resume(), stderrAtOnce.ms);
  });
  let exited = false;
  // Whatever it started and left would hold its output open.
  child.once('exit', () => {
    killTree(pid);
    exited = true;
  });
  const ended = new Promise<ChildEnd>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stderr: stderr.toWellFormed() }));
  });
  putBehind(pid);
  const kill = (): void => {
    // By then its pid may be another's.
    if (!exited) killTree(pid);
  };
  return { pid, stdin: child.stdin, stdout: child.stdout, sockets, ended, kill };
}

/** Puts a program behind us: for the processor, and for memory when the kernel has to take a process of our control group. */
function putBehind(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, '1000');
    setPriority(pid, lowPriority);
  } catch {
    // It has already ended, or this user may not.
  }
}
