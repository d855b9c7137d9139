import type { ChildProcess } from 'node:child_process';
import { exec } from '../exec-client.ts';
import { importIntoGuest, importIntoNative } from './image-import.ts';
import { type ClusterOptions, launchCluster } from './launch.ts';
import { closeNamespace, exitCodeOf } from './namespace.ts';
import { mustKubectl, type ProgramOptions, type ProgramResult, runProgram, startProgram } from './programs.ts';
import type { ClusterState } from './state.ts';

export type { ClusterOptions } from './launch.ts';
export type { ProgramOptions, ProgramResult } from './programs.ts';

/**
 * Starts a Kubernetes cluster of two nodes that lives no longer than this process; resolves when both are Ready and have the
 * images. node1 is a virtual machine, node2 runs on this machine's kernel. Needs root.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<LabCluster> {
  return new LabCluster(await launchCluster(options, { endsWithUs: true }));
}

/** A cluster that is up. Its network has no way out and none in: programs are run inside. */
export class LabCluster {
  readonly state: ClusterState;

  constructor(state: ClusterState) {
    this.state = state;
  }

  /** Path of an administrator's kubeconfig; its server is one of the cluster's network. */
  get kubeconfig(): string {
    return this.state.kubeconfig;
  }

  async kubectl(args: string[], options: ProgramOptions = {}): Promise<ProgramResult> {
    return await this.run('kubectl', args, options);
  }

  /** As `kubectl`, but an exit code other than 0 throws; resolves to standard output. */
  async must(args: string[], options: ProgramOptions = {}): Promise<string> {
    return await mustKubectl(this.state, args, options);
  }

  /**
   * Runs a program of this machine in the cluster's network, with this machine's files and processes, as an administrator of
   * the cluster (KUBECONFIG) unless `env` says otherwise. kubectl is on its PATH. A program that is given up is killed.
   */
  async run(program: string, args: string[], options: ProgramOptions = {}): Promise<ProgramResult> {
    return await runProgram(this.state, program, args, options);
  }

  /** As `run`, with this process's own input and output. Resolves to the exit code. */
  async show(program: string, args: string[], options: Omit<ProgramOptions, 'stdin'> = {}): Promise<number> {
    return await exitCodeOf(startProgram(this.state, program, args, 'inherit', options));
  }

  /** Starts a program as `run` does and leaves its input, output and end to the caller: for what goes on, such as port-forward. */
  spawn(program: string, args: string[], options: Omit<ProgramOptions, 'stdin'> = {}): ChildProcess {
    return startProgram(this.state, program, args, 'pipe', options);
  }

  /** Makes the images of these OCI archives known to both nodes. */
  async importImages(paths: string[], options: { signal?: AbortSignal } = {}): Promise<void> {
    await Promise.all([importIntoGuest(this.state, paths, options), importIntoNative(this.state, paths, options)]);
  }

  /** Runs a shell command as root on node1, the virtual machine. */
  async onGuest(command: string, options: { signal?: AbortSignal } = {}): Promise<ProgramResult> {
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const exitCode = await exec(this.state.exec, {
      command,
      onStdout: (bytes) => void out.push(bytes),
      onStderr: (bytes) => void err.push(bytes),
      signal: options.signal,
    });
    return { stdout: Buffer.concat(out).toString('utf8'), stderr: Buffer.concat(err).toString('utf8'), exitCode };
  }

  /** Ends everything that runs in the cluster at once and removes its files, cgroups and network. */
  async stop(): Promise<void> {
    await closeNamespace(this.state.namespace);
  }
}
