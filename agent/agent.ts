import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
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
import { CaptureDesk } from './capture/desk.ts';
import { type WindowSize, windowSize } from './capture/window.ts';
import type { Config } from './config.ts';
import { describeKernel } from './kernel/descriptor.ts';
import { readTypes } from './kernel/kernel-types.ts';
import { reach } from './reach.ts';
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
}

/** The tuning of every agent in use. */
export const tuning: Tuning = {
  window: windowSize,
  backoff: reconnectBackoff,
  stallMs: 15 * 60_000,
  graceMs: 15_000,
};

/** Runs the agent until the signal fires and everything has ended: at most `graceMs` and a few seconds later. */
export async function runAgent(
  config: Config,
  system: SystemPaths,
  log: Logger,
  signal: AbortSignal,
  { window, backoff, stallMs, graceMs }: Tuning = tuning,
): Promise<void> {
  clearFifos(config.runDir);
  const avml = await verifyAvml(config, log);
  const kernel = describeKernel(system);
  log.info({ release: kernel.release, buildId: kernel.buildId, bootId: kernel.bootId }, 'kernel described');

  const channel = openChannel(
    config.collector,
    config.identity,
    config.serverName === undefined ? {} : { serverName: config.serverName },
  );
  const reachable = (ending: AbortSignal) => reach(channel, ending);
  const ingest = connect(IngestService, channel);
  const patience = { backoff, stallMs };
  const desk = new CaptureDesk({ system, avml, runDir: config.runDir, window, patience, ingest, reachable, log });
  for (const refusal of desk.preflight()) log.warn({ ...refusal }, 'this node cannot be captured');

  const registration = { agentVersion, instanceId: randomUUID(), kernel, acquirer: () => avml.acquirer };
  const detach = new AbortController();
  const agent = connect(AgentService, channel);
  const attached = stayAttached(
    {
      agent,
      registration,
      desk,
      sendTypes: (transferId, ending) => sendTypes(ingest, transferId, readTypes(system, kernel.vmcoreinfo), ending),
      backoff,
      reachable,
      log,
    },
    detach.signal,
  );
  try {
    if (!signal.aborted) await Promise.race([attached, once(signal, 'abort')]);
  } finally {
    // Attached to the last, so that the collector does not take the silence for a crash.
    await desk.close(graceMs);
    detach.abort();
    await attached;
    channel.close();
  }
}

async function verifyAvml(config: Config, log: Logger): Promise<Avml> {
  const avml = new Avml(config.avmlPath, config.avmlSha256);
  try {
    await avml.learnVersion();
  } catch (error) {
    log.error({ causes: causeChain(error) }, 'AVML cannot tell its version');
  }
  log.info({ acquirer: avml.acquirer, path: avml.path }, 'AVML checked');
  return avml;
}
