import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openChannel } from '@kcorder/proto/bridge/channel.ts';
import { type Calls, connect } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { type Capture, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import type { Node } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { makeFakeAvml } from '../../agent/testing/fake-avml.ts';
import { makeSystemTree } from '../../agent/testing/system-tree.ts';
import { freePort } from '../../collector/testing/free-port.ts';
import { type Authority, makeAuthority } from '../certificates.ts';
import { agentArguments } from '../stage/agent-launch.ts';
import { CollectorProcess } from '../stage/collector-process.ts';
import type { AgentOptions } from './agent-worker.ts';
import type { RecordedImage } from './recorded-image.ts';
import { type Usage, usageOf, WorkerProcess } from './worker-process.ts';

/** A real collector on a real disk, and the operator's way to it. */
export class OurCollector {
  readonly dir: string;
  readonly authority: Authority;
  readonly process: CollectorProcess;
  readonly operator: Calls<typeof OperatorService>;
  readonly #closeChannel: () => void;

  /** Without `analysis` the Python has no Volatility, so that none runs beside what is measured. */
  static async start(dir: string, analysis?: { python: string }): Promise<OurCollector> {
    const authority = makeAuthority(join(dir, 'tls'));
    const collector = new CollectorProcess({
      port: await freePort(),
      metricsPort: await freePort(),
      dataDir: join(dir, 'data'),
      tlsDir: authority.server().dir,
      symbolDirs: [],
      python: analysis?.python ?? '/usr/bin/python3',
      logPath: join(dir, 'collector.log'),
      // The way of a capture is measured, not what is done with it later.
      env: { KCORDER_SPOOL_SECONDS: '3600' },
    });
    await collector.start();
    return new OurCollector(dir, authority, collector);
  }

  private constructor(dir: string, authority: Authority, collector: CollectorProcess) {
    this.dir = dir;
    this.authority = authority;
    this.process = collector;
    const channel = openChannel(collector.address, authority.operator('bench'));
    this.operator = connect(OperatorService, channel);
    this.#closeChannel = () => channel.close();
  }

  get port(): number {
    return this.process.options.port;
  }

  get usage(): Usage {
    return usageOf(this.process.pid);
  }

  /** Orders a capture; `beganMs` is the moment of the order that was taken, on the monotonic clock. */
  async order(nodeName: string): Promise<{ captureId: string; beganMs: number }> {
    while (true) {
      const beganMs = performance.now();
      try {
        const { capture } = await this.operator.createCapture({
          nodeName,
          reason: 'bench',
          idempotencyKey: randomUUID(),
        });
        return { captureId: capture?.id ?? '', beganMs };
      } catch (error) {
        // Until its next heartbeat a node whose capture has just ended still counts as busy.
        if (!(error instanceof Fault) || error.code !== 'preflight_refused') throw error;
        await sleep(100);
      }
    }
  }

  /** The capture once nothing more happens to it. */
  async ended(captureId: string): Promise<Capture> {
    for await (const { capture } of this.operator.watchCapture({ captureId })) {
      if (capture?.phase === Phase.DONE) return capture;
    }
    throw new Error(`the watch of capture ${captureId} ended before it`);
  }

  /** What is known of a node; undefined before it has attached. */
  async node(name: string): Promise<Node | undefined> {
    const { nodes } = await this.operator.listNodes({});
    return nodes.find((node) => node.name === name);
  }

  /** Frees the disk again; the journal keeps the capture. */
  forgetEvidence(captureId: string): void {
    rmSync(join(this.process.options.dataDir, 'evidence', captureId), { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    this.#closeChannel();
    await this.process.stop();
  }
}

/** Starts a real agent whose AVML writes a recorded image, and resolves when it is attached. `port` is the collector's or that of a link to it. */
export async function startOurAgent(
  collector: OurCollector,
  nodeName: string,
  image: RecordedImage,
  port = collector.port,
): Promise<WorkerProcess> {
  const dir = join(collector.dir, nodeName);
  const system = makeSystemTree(join(dir, 'system'), { iomem: image.iomem });
  const avml = makeFakeAvml(dir, 0, `exec cat '${image.path}' > "$FIFO"`);
  const options: AgentOptions = {
    collector: `127.0.0.1:${port}`,
    tlsDir: collector.authority.agent(nodeName, `uid-${nodeName}`).dir,
    avmlPath: avml.path,
    avmlSha256: avml.sha256,
    runDir: join(dir, 'run'),
    system,
  };
  const agent = new WorkerProcess('agent-worker.ts', options, agentArguments);
  await agent.line(({ msg }) => msg === 'attached');
  return agent;
}
