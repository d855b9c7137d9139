import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import * as agent from './agent.ts';
import { exec } from './exec-client.ts';
import { launch, type NodeOptions } from './launch.ts';
import { forwardPort } from './network.ts';
import { quote } from './quote.ts';
import { end, type NodeState } from './state.ts';

export type { NodeOptions } from './launch.ts';

export interface RunOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
  stdin?: AsyncIterable<Uint8Array>;
}

export interface RunResult {
  stdout: string;
  stderr: string;
  /** 128 + n for signal n. */
  exitCode: number;
}

/** Boots a lab node that lives no longer than this process; resolves when its pods listen. */
export async function startNode(options: NodeOptions): Promise<LabNode> {
  return new LabNode(await launch(options, { endsWithUs: true }));
}

/** A booted node: a virtual machine with a kernel and pods of its own. */
export class LabNode {
  readonly state: NodeState;

  constructor(state: NodeState) {
    this.state = state;
  }

  get name(): string {
    return this.state.name;
  }

  /** Process id of QEMU on this machine. */
  get pid(): number {
    return this.state.pid;
  }

  /** What the node's kernel and start-up printed. */
  get consolePath(): string {
    return this.state.consolePath;
  }

  /** Runs a shell command as root on the node; any number at once. A command that is given up is killed. */
  async run(command: string, options: RunOptions = {}): Promise<RunResult> {
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const exitCode = await exec(this.state.exec, {
      command,
      ...(options.stdin ? { stdin: options.stdin } : {}),
      onStdout: (bytes) => void out.push(bytes),
      onStderr: (bytes) => void err.push(bytes),
      signal: anySignal(options),
    });
    return { stdout: Buffer.concat(out).toString('utf8'), stderr: Buffer.concat(err).toString('utf8'), exitCode };
  }

  /** As `run`, but an exit code other than 0 throws; resolves to standard output. */
  async must(command: string, options: RunOptions = {}): Promise<string> {
    const { stdout, stderr, exitCode } = await this.run(command, options);
    if (exitCode === 0) return stdout;
    throw new Error(
      `on lab node ${this.name}: \`${command.slice(0, 300)}\` ended with exit code ${exitCode}: ${stderr.trim()}`,
    );
  }

  /** Copies a file of this machine to a path on the node. */
  async put(localPath: string, nodePath: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    await this.must(`cat >${quote(nodePath)}`, {
      ...options,
      stdin: createReadStream(localPath, { highWaterMark: 65_536 }),
    });
  }

  /** Copies a file of the node (or what a command prints, see `capture`) to this machine. */
  async get(nodePath: string, localPath: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    await this.capture(`cat ${quote(nodePath)}`, localPath, options);
  }

  /** Runs a command whose standard output goes to a file of this machine. */
  async capture(command: string, localPath: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    const file = createWriteStream(localPath);
    const err: Buffer[] = [];
    try {
      const exitCode = await exec(this.state.exec, {
        command,
        onStdout: async (bytes) => {
          if (!file.write(bytes)) await once(file, 'drain');
        },
        onStderr: (bytes) => void err.push(bytes),
        signal: options.signal,
      });
      if (exitCode !== 0) {
        throw new Error(
          `on lab node ${this.name}: \`${command}\` ended with exit code ${exitCode}: ${Buffer.concat(err)}`,
        );
      }
    } finally {
      file.end();
      await once(file, 'close');
    }
  }

  /** Makes a port of this machine's loopback reachable as the same port of 10.0.2.2. `startAgent` does it for those of the collector. */
  async forward(port: number): Promise<void> {
    await forwardPort(this.state, port);
  }

  /** Starts the agent's pod against a collector on this machine; see `startAgent` in agent.ts. */
  async startAgent(options: agent.AgentOptions): Promise<void> {
    await agent.startAgent(this, options);
  }

  async stopAgent(signal: 'TERM' | 'KILL' | 'INT' = 'TERM'): Promise<void> {
    await agent.stopAgent(this, signal);
  }

  async agentLog(): Promise<string> {
    return await agent.agentLog(this);
  }

  /** Switches the node off at once, as a power cut does. */
  async stop(): Promise<void> {
    await end(this.state);
  }
}

function anySignal({ signal, timeoutMs }: RunOptions): AbortSignal | undefined {
  const signals = [signal, timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs)].filter(
    (s) => s !== undefined,
  );
  return signals.length > 0 ? AbortSignal.any(signals) : undefined;
}
