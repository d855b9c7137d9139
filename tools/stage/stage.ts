import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { freePort } from '../../collector/testing/free-port.ts';
import { type Authority, makeAuthority } from '../certificates.ts';
import type { NodeOptions } from '../lab/launch.ts';
import { type LabNode, startNode } from '../lab/node.ts';
import { ensureKernel } from '../setup/kernel.ts';
import { ensureVmlinux } from '../setup/vmlinux.ts';
import { ensureVolatility } from '../setup/volatility.ts';
import { CollectorProcess } from './collector-process.ts';
import { type Context, kcorder } from './command-line.ts';

/** How a stage is set up. */
export interface StageOptions {
  readonly kernel?: string;
  readonly symbols?: 'btf' | 'dwarf';
  readonly env?: Record<string, string>;
}

/** A collector with an authority of its own, and nodes that enrol with it; it and its operators have certificates made by hand. Everything ends with this process at the latest. */
export class Stage {
  readonly dir: string;
  readonly authority: Authority;
  readonly collector: CollectorProcess;
  readonly context: Context;
  readonly #apiPort: number;
  readonly #nodes: LabNode[] = [];

  private constructor(dir: string, authority: Authority, collector: CollectorProcess, apiPort: number) {
    this.dir = dir;
    this.#apiPort = apiPort;
    this.authority = authority;
    this.collector = collector;
    this.context = { address: collector.address, tlsDir: authority.operator('responder').dir };
  }

  /**
   * Sets up a stage in an empty directory and starts its collector. Symbols come from the nodes themselves, or, with `dwarf`, from the vmlinux of the
   * kernel series.
   */
  static async open(dir: string, options: StageOptions = {}): Promise<Stage> {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const kernel = await ensureKernel(options.kernel ?? '6.1');
    const vmlinux = options.symbols === 'dwarf' ? await ensureVmlinux(kernel) : undefined;
    const python = await ensureVolatility();
    const authority = makeAuthority(join(dir, 'tls'));
    const apiPort = await freePort();
    const collector = new CollectorProcess({
      port: await freePort(),
      metricsPort: await freePort(),
      dataDir: join(dir, 'data'),
      tlsDir: authority.server().dir,
      symbolDirs: vmlinux === undefined ? [] : [dirname(vmlinux)],
      python,
      logPath: join(dir, 'collector.log'),
      env: { KCORDER_AUTHORITY: 'directory', KCORDER_API_LISTEN: `127.0.0.1:${apiPort}`, ...options.env },
    });
    await collector.start();
    return new Stage(dir, authority, collector, apiPort);
  }

  /** Boots a node and resolves when its agent runs; the agent attaches by itself. */
  async boot(options: NodeOptions): Promise<LabNode> {
    const node = await startNode(options);
    this.#nodes.push(node);
    await this.startAgent(node);
    return node;
  }

  /** Starts the node's agent, which enrols with a token of its own. */
  async startAgent(node: LabNode, options: { privileged?: boolean } = {}): Promise<void> {
    const spec = ['join-token', 'create', '--node', node.name, '--uid', `uid-${node.name}`];
    const { exitCode, stdout, stderr } = await kcorder(this.context, spec);
    if (exitCode !== 0) throw new Error(`there is no join token for ${node.name}: ${stderr}`);
    const enrol = { port: this.#apiPort, token: stdout.trim(), caPath: join(this.authority.dir, 'ca.crt') };
    await node.startAgent({ collectorPort: this.collector.options.port, enrol, ...options });
  }

  /** Switches everything off. */
  async close(): Promise<void> {
    await Promise.allSettled([this.collector.stop(), ...this.#nodes.map((node) => node.stop())]);
  }
}
