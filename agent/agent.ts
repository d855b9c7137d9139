import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { openChannel } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { causeChain } from '@kcorder/proto/fault.ts';
import { AgentService } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import type { Logger } from 'pino';
import { stayAttached } from './attach.ts';
import { Avml } from './avml/avml.ts';
import { clearFifos } from './avml/fifo.ts';
import { type BackoffRange, reconnectBackoff } from './backoff.ts';
import { OrderRunner } from './capture/order-runner.ts';
import { type WindowSize, windowSize } from './capture/window.ts';
import { CollectorConnection } from './collector-connection.ts';
import type { Config } from './config.ts';
import { Counters } from './counters.ts';
import { holdIdentity } from './identity/hold.ts';
import { type Renewal, renewal } from './identity/keep.ts';
import { describeKernel } from './kernel/descriptor.ts';
import { readTypes } from './kernel/kernel-types.ts';
import { unmask } from './preflight/unmask.ts';
import { Probes } from './probes.ts';
import { sendTypes } from './send-types.ts';
import type { SystemPaths } from './system.ts';
import { agentVersion } from './version.ts';

/** Sizes and times of the agent; nobody has a reason to set them but a test. */
export interface Tuning {
  readonly window: WindowSize;
  readonly backoff: BackoffRange;
  /** Without durable progress for this long a capture is given up. */
  readonly stallMs: number;
  /** Time for telling the collector how a capture ended when the agent must end. */
  readonly graceMs: number;
  readonly renewal: Renewal;
}

/** The tuning of every agent in use. */
export const tuning: Tuning = {
  window: windowSize,
  backoff: reconnectBackoff,
  stallMs: 15 * 60_000,
  graceMs: 15_000,
  renewal,
};

/** Runs the agent until the signal fires and everything has ended: at most `graceMs` and a few seconds later. */
export async function runAgent(
  config: Config,
  system: SystemPaths,
  log: Logger,
  signal: AbortSignal,
  { window, backoff, stallMs, graceMs, renewal }: Tuning = tuning,
): Promise<void> {
  clearFifos(config.runDir);
  const avml = new Avml(config.avmlPath, config.avmlSha256);
  const probes = new Probes(config.runDir, () => avml.check() === undefined, log);
  probes.start();
  await learnVersion(avml, log);
  const maskStays = await unmask(system, log);
  const kernel = describeKernel(system);
  log.info({ release: kernel.release, buildId: kernel.buildId, bootId: kernel.bootId }, 'kernel described');

  const detach = new AbortController();
  const { serverName } = config;
  const identity = holdIdentity(config, renewal, log, detach.signal, () => line.renew());
  const line = new CollectorConnection(
    () => openChannel(config.collector, identity.tls, serverName === undefined ? {} : { serverName }),
    () => log.warn({ collector: config.collector }, 'connection attempt timed out; reconnecting'),
  );
  const reachable = async (ending: AbortSignal): Promise<boolean> => {
    await identity.ready(ending);
    return await line.reach(ending);
  };
  const replaced = async (ending: AbortSignal): Promise<void> => {
    await line.left(ending);
    // By then a broken connection is seen to be one, and a collector that takes no more is not asked again at once.
    await sleep(backoff.minMs, undefined, { signal: ending });
    while (!(await reachable(ending)));
  };
  const ingest = connect(IngestService, line.channel);
  const timeouts = { backoff, stallMs };
  const counters = new Counters();
  const orders = new OrderRunner({
    system,
    maskStays,
    avml,
    runDir: config.runDir,
    window,
    timeouts,
    ingest,
    reachable,
    replaced,
    counters,
    log,
  });
  for (const refusal of orders.preflight()) log.warn({ ...refusal }, 'this node cannot be captured');

  const endMetrics =
    config.metricsListen === ''
      ? undefined
      : // prom-client is not even loaded where nobody asks for metrics.
        await (await import('./metrics.ts')).serveAgentMetrics(config.metricsListen, {
          version: agentVersion,
          counters,
          windowBytes: window.chunkBytes * window.chunks,
          certificate: () => ('current' in identity.tls ? identity.tls.current : identity.tls)?.certificate,
          refusals: () => orders.preflight(),
        });

  const registration = { agentVersion, instanceId: randomUUID(), kernel, acquirer: () => avml.acquirer };
  const agent = connect(AgentService, line.channel);
  const attached = stayAttached(
    {
      agent,
      registration,
      orders,
      sendTypes: (transferId, ending) => sendTypes(ingest, transferId, readTypes(system, kernel.vmcoreinfo), ending),
      backoff,
      reachable,
      replaced,
      attached: (isAttached) => {
        counters.attached = isAttached;
        probes.attached(isAttached);
      },
      log,
    },
    detach.signal,
  );
  try {
    if (!signal.aborted) await Promise.race([attached, once(signal, 'abort')]);
  } finally {
    // Attached to the last, so that the collector does not take the silence for a crash.
    await orders.close(graceMs);
    detach.abort();
    await Promise.all([attached, identity.ended]);
    line.close();
    endMetrics?.();
    probes.close();
  }
}

async function learnVersion(avml: Avml, log: Logger): Promise<void> {
  try {
    await avml.learnVersion();
  } catch (error) {
    log.error({ causes: causeChain(error) }, 'AVML cannot tell its version');
  }
  log.info({ acquirer: avml.acquirer, path: avml.path }, 'AVML checked');
}
