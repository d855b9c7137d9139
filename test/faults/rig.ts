import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DescService } from '@bufbuild/protobuf';
import { openChannel } from '@kcorder/proto/bridge/channel.ts';
import { type Calls, connect } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { type Capture, OutcomeKind, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import type { TreeChanges } from '../../agent/testing/system-tree.ts';
import { until } from '../../collector/testing/files.ts';
import { freePort } from '../../collector/testing/free-port.ts';
import { type Leaf, type LeafOptions, makeAuthority } from '../../tools/certificates.ts';
import type { Context } from '../../tools/stage/command-line.ts';
import { Child } from './child.ts';
import { checkInvariants } from './invariants.ts';
import { Wire } from './wire.ts';

const root = join(import.meta.dirname, '..', '..');

/** What differs from the ordinary rig. */
export interface RigOptions {
  /** File with the LiME image that the fake AVML writes. */
  readonly imagePath: string;
  /** Speed of the fake AVML; 0, unless told otherwise: as fast as its bytes are taken. */
  readonly bytesPerSecond?: number;
  readonly avmlExitCode?: number;
  readonly dataDir?: string;
  /** Settings of the collector's environment. */
  readonly settings?: Record<string, string>;
  readonly tree?: TreeChanges;
  /** A folder with files of a real node, which the agent reads instead of those made up: see record.ts. */
  readonly recordedDir?: string;
  /** How the collector's certificate differs. */
  readonly certificate?: LeafOptions;
}

/** The collector and an agent as processes, a network that can break between them, and a fake AVML. */
export class FaultRig {
  readonly dir = mkdtempSync(join(tmpdir(), 'kcorder-faults-'));
  readonly dataDir: string;
  readonly runDir = join(this.dir, 'run');
  readonly pidPath = join(this.dir, 'avml.pid');
  readonly #options: RigOptions;
  readonly #authority = makeAuthority(join(this.dir, 'tls'));
  readonly #server: Leaf;
  readonly #node = this.#authority.agent('n1', 'uid-1');
  readonly #operator = this.#authority.operator('alice');
  readonly #children: Child[] = [];
  #wire: Wire | undefined;
  #port = 0;
  #metricsPort = 0;
  #agentMetricsPort = 0;
  #captures = 0;
  #agents = 0;

  private constructor(options: RigOptions) {
    this.#options = options;
    this.dataDir = options.dataDir ?? join(this.dir, 'data');
    this.#server = this.#authority.server(options.certificate);
  }

  /** What the agent left in its folder, but for the files of its probes. */
  fifos(): string[] {
    return readdirSync(this.runDir).filter((name) => name !== 'alive' && name !== 'ready');
  }

  /** Starts everything and waits until the agent is attached. */
  static async start(options: RigOptions): Promise<FaultRig> {
    const rig = new FaultRig(options);
    rig.#port = await freePort();
    rig.#metricsPort = await freePort();
    rig.#agentMetricsPort = await freePort();
    rig.#wire = await Wire.start(rig.#port);
    rig.#writeAvml();
    await rig.startCollector();
    await rig.startAgent();
    return rig;
  }

  /** host:port of the metrics of the collector and of the agent. */
  get metrics(): { readonly collector: string; readonly agent: string } {
    return { collector: `127.0.0.1:${this.#metricsPort}`, agent: `127.0.0.1:${this.#agentMetricsPort}` };
  }

  /** Where the command line finds the collector. */
  get context(): Context {
    return { address: `127.0.0.1:${this.#port}`, tlsDir: this.#operator.dir };
  }

  /** PEM of whoever vouches for the collector. */
  get ca(): Buffer {
    return this.#authority.ca;
  }

  get wire(): Wire {
    if (this.#wire === undefined) throw new Error('the rig was not started');
    return this.#wire;
  }

  /** The collector that was started last. */
  collector!: Child;
  /** The agent that was started last. */
  agent!: Child;

  async startCollector(): Promise<Child> {
    this.collector = this.spawnCollector();
    await this.collector.says('collector is up');
    return this.collector;
  }

  /** A collector that is not waited for. */
  spawnCollector(changes: Record<string, string> = {}): Child {
    const child = new Child(join(root, 'collector/main.ts'), [], {
      KCORDER_LISTEN: `127.0.0.1:${this.#port}`,
      KCORDER_METRICS_LISTEN: `127.0.0.1:${this.#metricsPort}`,
      KCORDER_TLS_DIR: this.#server.dir,
      KCORDER_DATA_DIR: this.dataDir,
      KCORDER_RESERVE_BYTES: '1',
      // The invariants are about the image as it was acquired.
      KCORDER_SPOOL_SECONDS: '3600',
      ...this.#options.settings,
      ...changes,
    });
    this.#children.push(child);
    return child;
  }

  async startAgent(): Promise<Child> {
    this.#agents += 1;
    const treeDir = join(this.dir, `tree-${this.#agents}`);
    mkdirSync(treeDir);
    const recorded = this.#options.recordedDir === undefined ? [] : [this.#options.recordedDir];
    this.agent = new Child(
      join(import.meta.dirname, 'agent-main.ts'),
      [treeDir, JSON.stringify(this.#options.tree ?? {}), ...recorded],
      {
        KCORDER_COLLECTOR: `127.0.0.1:${this.wire.port}`,
        KCORDER_TLS_DIR: this.#node.dir,
        KCORDER_SERVER_NAME: 'localhost',
        KCORDER_AVML: join(this.dir, 'avml'),
        KCORDER_RUN_DIR: this.runDir,
        KCORDER_HOST_ROOT: this.dir,
        KCORDER_METRICS_LISTEN: this.metrics.agent,
      },
    );
    this.#children.push(this.agent);
    await this.agent.says('"attached"');
    return this.agent;
  }

  /** Calls the operator service over a connection of its own. */
  async ask<T>(question: (operator: Calls<typeof OperatorService>) => Promise<T>): Promise<T> {
    return await this.askOf(OperatorService, question);
  }

  /** The same with another service. */
  async askOf<Service extends DescService, T>(
    service: Service,
    question: (calls: Calls<Service>) => Promise<T>,
  ): Promise<T> {
    const client = openChannel(`127.0.0.1:${this.#port}`, this.#operator, { serverName: 'localhost' });
    try {
      return await question(connect(service, client));
    } finally {
      client.close();
    }
  }

  /** Orders a capture and returns its id. */
  async order(): Promise<string> {
    this.#captures += 1;
    rmSync(this.pidPath, { force: true });
    const spec = { nodeName: 'n1', reason: 'a fault test', idempotencyKey: `key-${this.#captures}` };
    const create = () => this.ask((operator) => operator.createCapture(spec));
    // After a restart of the collector an upload may be back before the agent's own stream is.
    return await until(() =>
      create().then(
        ({ capture }) => capture?.id,
        (error: unknown) => {
          if (!(error instanceof Fault && error.code === 'node_offline')) throw error;
          return undefined;
        },
      ),
    );
  }

  /** The capture as the collector has it; undefined while the collector cannot be asked. */
  async capture(captureId: string): Promise<Capture | undefined> {
    return await this.ask((operator) => operator.getCapture({ captureId })).then(
      ({ capture }) => capture,
      () => undefined,
    );
  }

  /** The capture when it is done, analysis and all. */
  async done(captureId: string): Promise<Capture> {
    return await until(async () => {
      const capture = await this.capture(captureId);
      return capture?.phase === Phase.DONE && capture;
    });
  }

  /** The capture once its evidence is sealed, whether it is analysed or not. */
  async sealed(captureId: string): Promise<Capture> {
    const phases: readonly Phase[] = [Phase.SEALED, Phase.ANALYZING, Phase.DONE];
    return await until(async () => {
      const capture = await this.capture(captureId);
      return capture !== undefined && phases.includes(capture.phase) && capture;
    });
  }

  /** Process id of the AVML that runs now. */
  async avmlPid(): Promise<number> {
    return await until(() => {
      try {
        return Number(readFileSync(this.pidPath, 'utf8')) || undefined;
      } catch {
        return undefined;
      }
    });
  }

  /**
   * Resolves at the very byte of what the agent sends, counted from now; `spring` runs before anything after it passes. Throws when the
   * capture ends before.
   */
  async atByte(captureId: string, bytes: number, spring: () => void): Promise<void> {
    const sprung = Promise.withResolvers<true>();
    this.wire.trap(this.wire.sentBytes + bytes, () => {
      spring();
      sprung.resolve(true);
    });
    while ((await Promise.race([sprung.promise, sleep(500)])) !== true) {
      const capture = await this.capture(captureId);
      if (capture?.phase !== Phase.DONE || capture.outcome?.kind === OutcomeKind.COMPLETE) continue;
      throw new Error(`capture ${captureId} ended before it was broken: ${capture.outcome?.detail}`);
    }
  }

  manifest(captureId: string): Record<string, Record<string, unknown>> {
    const text = readFileSync(join(this.dataDir, 'evidence', captureId, 'manifest.json'), 'utf8');
    return JSON.parse(text) as Record<string, Record<string, unknown>>;
  }

  async metric(series: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.#metricsPort}/metrics`)).text();
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `));
    return Number(line?.split(' ').at(-1) ?? Number.NaN);
  }

  /** Checks I1 to I7 on what lies on disk and in the logs. Best while no collector runs, or while nothing happens. */
  async checkInvariants(): Promise<void> {
    const logs = this.#children.map(({ errors }) => errors).join('\n');
    const keys = [this.#server, this.#node, this.#operator].map(({ key }) => key.toString());
    await checkInvariants({ dataDir: this.dataDir, imagePath: this.#options.imagePath, logs, keys });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) if (child.running) await child.kill();
    await this.#wire?.[Symbol.asyncDispose]();
    rmSync(this.dir, { recursive: true, force: true });
  }

  #writeAvml(): void {
    const { imagePath, bytesPerSecond = 0, avmlExitCode = 0 } = this.#options;
    const feed = [process.execPath, join(import.meta.dirname, 'feed.ts'), imagePath];
    const script = `#!/bin/sh
[ "$1" = --version ] && { echo "avml 0.21.0"; exit; }
exec ${feed.map((part) => `'${part}'`).join(' ')} "$4" '${this.pidPath}' ${bytesPerSecond} ${avmlExitCode}
`;
    const path = join(this.dir, 'avml');
    writeFileSync(path, script, { mode: 0o755 });
    writeFileSync(`${path}.sha256`, createHash('sha256').update(script).digest('hex'));
  }
}
