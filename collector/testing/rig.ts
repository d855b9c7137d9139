import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@grpc/grpc-js';
import { openChannel, type TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { type Calls, connect } from '@kcorder/proto/bridge/connect.ts';
import { type Capture, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { SymbolsService } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { pino } from 'pino';
import { type Authority, makeAuthority } from '../../tools/certificates.ts';
import type { Surroundings } from '../access.ts';
import { type Collector, startCollector } from '../collector.ts';
import type { Config } from '../config.ts';
import { until } from './files.ts';
import { freePort } from './free-port.ts';
import { HandAgent } from './hand-agent.ts';

/** Who takes part in the tests of one file; made once, since every certificate costs some 20 ms. */
export class Parties {
  readonly dir = mkdtempSync(join(tmpdir(), 'kcorder-parties-'));
  readonly authority: Authority = makeAuthority(join(this.dir, 'authority'));
  readonly server = this.authority.server();
  readonly operator = this.authority.operator('alice');
  readonly #nodes = new Map<string, TlsIdentity>();

  node(name: string): TlsIdentity {
    const known = this.#nodes.get(name) ?? this.authority.agent(name, `uid-${name}`);
    this.#nodes.set(name, known);
    return known;
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A collector with its data in a folder of its own, and the channels of those who talk to it. Lives as long as one test. */
export class Rig {
  readonly parties: Parties;
  readonly dataDir = mkdtempSync(join(tmpdir(), 'kcorder-collector-'));
  readonly logged: Record<string, unknown>[] = [];
  /** Milliseconds that are added to the clock against which certificates are held. */
  aheadMs = 0;
  /** Replacements for the clock and the cluster. */
  surroundings: Surroundings = {};
  readonly #changes: Partial<Config>;
  readonly #clients: Client[] = [];
  #collector: Collector | undefined;
  #port = 0;
  #apiPort = 0;
  #metricsPort = 0;

  private constructor(parties: Parties, changes: Partial<Config>) {
    this.parties = parties;
    this.#changes = changes;
  }

  static async start(parties: Parties, changes: Partial<Config> = {}, surroundings: Surroundings = {}): Promise<Rig> {
    const rig = new Rig(parties, changes);
    rig.surroundings = surroundings;
    await rig.startCollector();
    return rig;
  }

  /** Starts the collector, after a stop on the same port and data again. */
  async startCollector(changes: Partial<Config> = {}): Promise<void> {
    this.#metricsPort = await freePort();
    const config: Config = {
      listen: `127.0.0.1:${this.#port}`,
      metricsListen: `127.0.0.1:${this.#metricsPort}`,
      apiListen: '127.0.0.1:0',
      tlsDir: this.parties.server.dir,
      authority: 'none',
      serverNames: ['localhost'],
      cluster: { namespace: '', authoritySecret: '', trustConfigMap: '', agentServiceAccount: '', agentDaemonSet: '' },
      joinTokens: true,
      approval: false,
      maxCaptures: 100,
      dataDir: this.dataDir,
      store: { kind: 'local', bucket: '', prefix: '', kmsKey: '', endpoint: '' },
      // Images stay as they were acquired, unless a test is about what becomes of them.
      spoolMs: 3_600_000,
      quotaBytes: 0,
      nodeQuotaBytes: 0,
      retentionMs: 0,
      verifyMs: 0,
      schedulesFile: '',
      webhooksFile: '',
      clusterName: '',
      symbolDirs: [],
      dwarf2json: '',
      symbolCacheBytes: 1 << 30,
      symbolBuckets: [],
      cosUrl: '',
      debuginfodUrls: [],
      symbolsListen: '',
      python: 'python3',
      logLevel: 'info',
      stallMs: 900_000,
      orderMs: 600_000,
      reserveBytes: 1,
      analysisMemoryBytes: 1 << 30,
      pluginMs: 60_000,
      analysisMustBeConfined: false,
      analysisAccelerated: true,
      analysisProfile: 'standard',
      analysisWorkers: 0,
      analysisSpares: 0,
      ...this.#changes,
      ...changes,
    };
    const log = pino({ level: 'trace' }, { write: (line: string) => void this.logged.push(JSON.parse(line)) });
    this.#collector = await startCollector(config, log, { now: () => Date.now() + this.aheadMs, ...this.surroundings });
    this.#port = this.#collector.port;
    this.#apiPort = this.#collector.apiPort;
  }

  async stopCollector(): Promise<void> {
    await this.#collector?.close();
    this.#collector = undefined;
  }

  get port(): number {
    return this.#port;
  }

  async lookAtCertificates(): Promise<void> {
    await this.#collector?.lookAtCertificates();
  }

  get apiPort(): number {
    return this.#apiPort;
  }

  /** A channel of its own. */
  channel(identity: TlsIdentity): Client {
    const client = openChannel(`127.0.0.1:${this.#port}`, identity, { serverName: 'localhost' });
    this.#clients.push(client);
    return client;
  }

  operator(identity: TlsIdentity = this.parties.operator): Calls<typeof OperatorService> {
    return connect(OperatorService, this.channel(identity));
  }

  symbols(identity: TlsIdentity = this.parties.operator): Calls<typeof SymbolsService> {
    return connect(SymbolsService, this.channel(identity));
  }

  agent(name = 'n1'): HandAgent {
    return new HandAgent(this.channel(this.parties.node(name)));
  }

  /** An agent that is attached, and the id of a capture that was ordered from it. */
  async ordered(
    name = 'n1',
  ): Promise<{ agent: HandAgent; operator: Calls<typeof OperatorService>; captureId: string }> {
    const [agent, operator] = [this.agent(name), this.operator()];
    await agent.attach();
    await operator.createCapture({ nodeName: name, reason: 'a test', idempotencyKey: `key-${name}` });
    return { agent, operator, captureId: await agent.ordered() };
  }

  /** The capture once it is done. */
  async done(captureId: string): Promise<Capture> {
    const operator = this.operator();
    return await until(async () => {
      const { capture } = await operator.getCapture({ captureId });
      return capture?.phase === Phase.DONE && capture;
    });
  }

  async metrics(): Promise<string> {
    return await (await fetch(`${this.metricsUrl}/metrics`)).text();
  }

  get metricsUrl(): string {
    return `http://127.0.0.1:${this.#metricsPort}`;
  }

  /** A file beside the evidence of a capture. */
  evidence(captureId: string, name: string): Buffer {
    return readFileSync(join(this.dataDir, 'evidence', captureId, name));
  }

  manifest(captureId: string): Record<string, Record<string, unknown>> {
    return JSON.parse(this.evidence(captureId, 'manifest.json').toString()) as Record<string, Record<string, unknown>>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.stopCollector();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}
