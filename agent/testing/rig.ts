import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { type Authority, type Leaf, makeAuthority } from '../../tools/certificates.ts';
import { runAgent, type Tuning } from '../agent.ts';
import type { Config } from '../config.ts';
import type { EnrolmentPlace } from '../identity/enrol.ts';
import type { FakeAvml } from './fake-avml.ts';
import { LoopbackCollector } from './loopback-collector.ts';
import { LoopbackEnrolment } from './loopback-enrolment.ts';
import { makeSystemTree, type TreeChanges } from './system-tree.ts';

/** Waits until a condition holds; the test's own time limit is the only limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

/** A certificate of a day is renewed after so many milliseconds. */
export function renewedAfter(ms: number): Partial<Tuning> {
  return { renewal: { ...testTuning.renewal, share: ms / 86_400_000 } };
}

/** Small and fast: a window of 1 MiB in 64 KiB chunks, breaks of some milliseconds. */
const testTuning: Tuning = {
  window: { chunkBytes: 64 << 10, chunks: 16 },
  backoff: { minMs: 10, maxMs: 100 },
  stallMs: 20_000,
  graceMs: 5_000,
  renewal: {
    share: 0.5,
    jitter: 0,
    floorMs: 0,
    absent: { minMs: 10, maxMs: 50 },
    refused: { minMs: 10, maxMs: 100 },
  },
};

/** A folder, a collector and an agent that live as long as one test. */
export class Rig {
  readonly dir: string;
  readonly runDir: string;
  readonly collector: LoopbackCollector;
  readonly logged: Record<string, unknown>[] = [];
  readonly authority: Authority;
  /** Where an agent without a certificate asks for one; started by `enrols`. */
  readonly enrolment: LoopbackEnrolment;
  readonly place: EnrolmentPlace;
  /** Where the next agent serves its metrics; empty: nowhere. */
  metricsListen = '';
  readonly #leaf: Leaf;
  #identity: Config['identity'];
  #address: string | undefined;
  #ending = new AbortController();
  #running: Promise<void> | undefined;

  constructor() {
    this.dir = mkdtempSync(join(tmpdir(), 'kcorder-agent-'));
    this.runDir = join(this.dir, 'run');
    this.authority = makeAuthority(join(this.dir, 'tls'));
    this.#leaf = this.authority.agent('lab-1', 'uid-1');
    this.#identity = this.#leaf;
    this.collector = new LoopbackCollector(this.authority.server());
    this.enrolment = new LoopbackEnrolment(this.authority);
    this.place = { enrol: '', tokenFile: join(this.dir, 'token'), caFile: join(this.dir, 'ca.crt') };
  }

  /** Starts collector and agent and waits until the agent has said hello. */
  async start(avml: FakeAvml, changes: TreeChanges = {}, tuning: Partial<Tuning> = {}): Promise<void> {
    await this.collector.start();
    const config: Config = {
      collector: this.#address ?? this.collector.address,
      identity: this.#identity,
      serverName: undefined,
      avmlPath: avml.path,
      avmlSha256: avml.sha256,
      runDir: this.runDir,
      hostRoot: '/',
      logLevel: 'trace',
      metricsListen: this.metricsListen,
    };
    const log = pino({ level: 'trace' }, { write: (line: string) => void this.logged.push(JSON.parse(line)) });
    const system = makeSystemTree(join(this.dir, 'system'), changes);
    this.#running = runAgent(config, system, log, this.#ending.signal, { ...testTuning, ...tuning });
    await until(() => this.collector.hellos.length > 0);
  }

  /** The agent has no certificate and enrols. Without a token its file is missing, and without a CA that one. */
  async enrols({ token, ca }: { token?: string; ca?: Buffer }): Promise<void> {
    await this.enrolment.start();
    this.#identity = { ...this.place, enrol: this.enrolment.address };
    if (token !== undefined) writeFileSync(this.place.tokenFile, token);
    if (ca !== undefined) writeFileSync(this.place.caFile, ca);
  }

  /** The settings of an agent that runs as a process of its own. */
  environment(avml: FakeAvml): Record<string, string> {
    return {
      KCORDER_COLLECTOR: this.collector.address,
      KCORDER_TLS_DIR: this.#leaf.dir,
      KCORDER_AVML: avml.path,
      KCORDER_AVML_SHA256: avml.sha256,
      KCORDER_RUN_DIR: this.runDir,
    };
  }

  /** Sends the agent to another collector than the rig's own. */
  useAddress(address: string): void {
    this.#address = address;
  }

  /** What captures left in the folder, besides the files of the probes. */
  fifos(): string[] {
    return readdirSync(this.runDir).filter((name) => name !== 'alive' && name !== 'ready');
  }

  /** Whether a line with this message was logged. */
  saw(message: string): boolean {
    return this.logged.some(({ msg }) => msg === message);
  }

  /** Ends the agent as SIGTERM does and waits for its end. */
  async endAgent(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endAgent();
    this.collector.stop();
    this.enrolment.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
