import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { repoDir } from '../../setup/cache.ts';
import { asNeighbour, exitCodeOf, spawnWords } from './namespace.ts';
import type { ClusterState } from './state.ts';

/** What is needed of a cluster to run a program in its network. */
export type Place = Pick<ClusterState, 'name' | 'folder' | 'namespace' | 'programDir' | 'kubeconfig'>;

export interface ProgramOptions {
  signal?: AbortSignal;
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string | Uint8Array;
}

export interface ProgramResult {
  stdout: string;
  stderr: string;
  /** 128 + n for signal n. */
  exitCode: number;
}

/** Runs a program of this machine to its end in the cluster's network; see LabCluster.run. */
export async function runProgram(
  place: Place,
  program: string,
  args: string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const child = startProgram(place, program, args, 'pipe', options);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (bytes: Buffer) => out.push(bytes));
  child.stderr?.on('data', (bytes: Buffer) => err.push(bytes));
  // a program that ends without having read it all is no failure of ours
  child.stdin?.on('error', () => {}).end(options.stdin ?? '');
  const exitCode = await exitCodeOf(child);
  options.signal?.throwIfAborted();
  return { stdout: Buffer.concat(out).toString('utf8'), stderr: Buffer.concat(err).toString('utf8'), exitCode };
}

/** kubectl's standard output; an exit code other than 0 throws. */
export async function mustKubectl(place: Place, args: string[], options: ProgramOptions = {}): Promise<string> {
  const { stdout, stderr, exitCode } = await runProgram(place, 'kubectl', args, options);
  if (exitCode === 0) return stdout;
  throw new Error(
    `in lab cluster ${place.name}: \`kubectl ${args.join(' ').slice(0, 300)}\` ended with exit code ${exitCode}: ${stderr.trim()}`,
  );
}

/** Starts a program in the cluster's network; it ends with this process at the latest. */
export function startProgram(
  place: Place,
  program: string,
  args: string[],
  stdio: 'pipe' | 'inherit',
  options: Omit<ProgramOptions, 'stdin'> = {},
): ChildProcess {
  return spawnWords([...asNeighbour(place.namespace), program, ...args], {
    stdio,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { signal: options.signal, killSignal: 'SIGKILL' }),
    env: {
      ...process.env,
      // the project's own Node before another that the machine may have
      PATH: `${place.programDir}:${join(repoDir, 'node_modules/.bin')}:${process.env.PATH ?? ''}`,
      KUBECONFIG: place.kubeconfig,
      // what kubectl remembers of one cluster is wrong for the next at the same address
      KUBECACHEDIR: join(place.folder, 'kubectl-cache'),
      ...options.env,
    },
  });
}
