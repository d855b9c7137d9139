import { type ChildProcess, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { Fault } from '@kcorder/proto/fault.ts';

/** How a program ended, as the contract says it. */
export interface ProcessExit {
  /** -1 when a signal ended it. */
  readonly exitCode: number;
  /** As in SIGKILL; empty when it ended by itself. */
  readonly signal: string;
  /** The last 4 KiB at most. */
  readonly stderrTail: string;
  readonly endedAt: Date;
}

/** A program that runs. */
export interface RunningProcess {
  readonly pid: number;
  /** Settles once it has ended and its standard error is read; never rejects. */
  readonly ended: Promise<ProcessExit>;
  /** Ends it at once with SIGKILL; again is harmless. */
  kill(): void;
}

const stderrTailBytes = 4096;
const living = new Set<ChildProcess>();

// Whatever ends the agent short of SIGKILL takes the programs with it. After SIGKILL they die of the closed FIFO, and as the first process
// of a container the agent takes them along in any case.
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/**
 * Starts the open file `fd` as a program at low CPU priority, so that what was checked is what runs, whatever the path leads to by now.
 * `program` is its name for people. Throws a fault when the system cannot execute it.
 */
export async function startOpenFile(fd: number, program: string, args: readonly string[]): Promise<RunningProcess> {
  // In the child the file is descriptor 3; a script's interpreter can open it from there too.
  const child = spawn('/proc/self/fd/3', args, {
    argv0: program,
    env: {},
    stdio: ['ignore', 'ignore', 'pipe', fd],
  });
  const ended = endOf(child);
  const { pid } = child;
  if (pid === undefined) {
    const cause = await new Promise<Error>((resolve) => child.once('error', resolve));
    throw new Fault('acquirer_unusable', `${program} cannot be executed (${cause.message}); install it again`, {
      cause,
    });
  }
  living.add(child);
  lowerPriority(pid);
  return { pid, ended, kill: () => child.kill('SIGKILL') };
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already.
  }
}

function endOf(child: ChildProcess): Promise<ProcessExit> {
  let tail = Buffer.alloc(0);
  child.stderr?.on('data', (data: Buffer) => {
    tail = Buffer.concat([tail, data]).subarray(-stderrTailBytes);
  });
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      living.delete(child);
      // A cut in the middle of a character must not become an invalid string.
      const stderrTail = tail.toString('utf8').replace(/^\uFFFD+/, '');
      resolve({ exitCode: code ?? -1, signal: signal ?? '', stderrTail, endedAt: new Date() });
    });
    child.on('error', () => undefined);
  });
}

/**
 * Runs a program to its end and returns its standard output; a fault when it fails or takes longer than 10 s. Given a descriptor, it is
 * that open file that runs, `program` being its name only. `next` is what the reader of the fault is to do.
 */
export async function output(
  program: string,
  args: readonly string[],
  fd?: number,
  next = "install the agent's image again",
): Promise<string> {
  const child = spawn(fd === undefined ? program : '/proc/self/fd/3', args, {
    argv0: program,
    stdio: ['ignore', 'pipe', 'pipe', fd],
    timeout: 10_000,
  });
  const pieces: Buffer[] = [];
  child.stdout?.on('data', (data: Buffer) => pieces.push(data));
  let cause: Error | undefined;
  child.once('error', (error) => {
    cause = error;
  });
  const { exitCode, signal, stderrTail } = await endOf(child);
  if (exitCode === 0) return Buffer.concat(pieces).toString('utf8');
  const how = cause?.message ?? (signal === '' ? `exit code ${exitCode}: ${stderrTail.trim()}` : `ended by ${signal}`);
  throw new Fault('acquirer_unusable', `${program} ${args.join(' ')} failed (${how}); ${next}`, {
    cause,
  });
}
