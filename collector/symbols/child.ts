import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const stderrLimitBytes = 2048;

/** A program to run to its end. */
export interface ChildRun {
  readonly argv: readonly [string, ...string[]];
  /** Fed to it, or nothing. */
  readonly input?: AsyncIterable<Buffer>;
  /** File descriptor that its output goes to, or who takes it; false from `output` ends the program. */
  readonly output: number | ((chunk: Buffer) => boolean);
  readonly wallMs: number;
}

/** How a program ended. */
export type ChildEnd =
  | { readonly kind: 'exited'; readonly code: number; readonly stderr: string }
  | { readonly kind: 'killed'; readonly by: string; readonly stderr: string }
  | { readonly kind: 'timeout' }
  /** The taker of its output wanted no more. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'not_found' };

/** Kills the program when this process dies, whatever kills it: no second build of a kernel beside one that an earlier collector left. */
const endWithParent = ['setpriv', '--pdeathsig', 'KILL'] as const;
const setprivPath = '/usr/bin/setpriv';

/**
 * Runs a program in a process group of its own and waits until it has ended; whatever it started is killed with it. Throws the signal's reason
 * after an abort, once the program is gone.
 */
export async function runChild(run: ChildRun, signal: AbortSignal): Promise<ChildEnd> {
  signal.throwIfAborted();
  const { output } = run;
  const [program, ...rest] = existsSync(setprivPath) ? [...endWithParent, ...run.argv] : run.argv;
  const child = spawn(program, rest, {
    detached: true,
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' },
    stdio: [run.input === undefined ? 'ignore' : 'pipe', typeof output === 'number' ? output : 'pipe', 'pipe'],
  });
  let why: 'timeout' | 'stopped' | undefined;
  const stop = (reason?: 'timeout' | 'stopped') => {
    why ??= reason;
    killGroup(child.pid);
  };
  const onAbort = () => stop();
  const timer = setTimeout(stop, run.wallMs, 'timeout');
  signal.addEventListener('abort', onAbort, { once: true });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-stderrLimitBytes);
  });
  if (typeof output === 'function') {
    child.stdout?.on('data', (chunk: Buffer) => {
      if (why === undefined && !output(chunk)) stop('stopped');
    });
  }
  // A program that stops reading ends the feeding with an error; its own exit code tells what happened.
  const fed =
    run.input === undefined || child.stdin === null
      ? Promise.resolve()
      : pipeline(Readable.from(run.input, { objectMode: false }), child.stdin).catch(() => {});
  child.once('exit', () => killGroup(child.pid));
  try {
    const ended = await new Promise<ChildEnd>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'EACCES') resolve({ kind: 'not_found' });
        else reject(error);
      });
      child.once('close', (code, by) => {
        if (why !== undefined) resolve({ kind: why });
        // What the shell and setpriv say of a program that is not there.
        else if (code === 126 || code === 127) resolve({ kind: 'not_found' });
        else if (by !== null) resolve({ kind: 'killed', by, stderr });
        else resolve({ kind: 'exited', code: code ?? 0, stderr });
      });
    });
    child.stdin?.destroy();
    await fed;
    signal.throwIfAborted();
    return ended;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody of the group is left.
  }
}
