import type { Calls } from '@kcorder/proto/bridge/connect.ts';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { AgentService, AttachResponse } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import type { Logger } from 'pino';
import type { Acquirer } from './avml/avml.ts';
import { Backoff, type BackoffRange } from './backoff.ts';
import type { CaptureDesk } from './capture/desk.ts';
import { durationMs, timestamp } from './clock.ts';
import type { KernelDescription } from './kernel/descriptor.ts';

/** Who this agent is, as its hello says it. */
export interface Registration {
  readonly agentVersion: string;
  readonly instanceId: string;
  readonly kernel: KernelDescription;
  readonly acquirer: () => Acquirer;
}

/** What attaching works with. */
export interface AttachMeans {
  readonly agent: Calls<typeof AgentService>;
  readonly registration: Registration;
  readonly desk: CaptureDesk;
  /** Sends what the kernel knows of its types and symbols; throws when it could not. */
  readonly sendTypes: (transferId: string, signal: AbortSignal) => Promise<void>;
  readonly backoff: BackoffRange;
  /** Resolves once there is a connection, or when it is not worth waiting for one any longer. */
  readonly reachable: (signal: AbortSignal) => Promise<void>;
  /** Hears when the collector has welcomed the agent, and when that is over. */
  readonly attached: (isAttached: boolean) => void;
  readonly log: Logger;
}

/** Shortest interval that a collector can ask for. */
const heartbeatFloorMs = 200;
const heartbeatDefaultMs = 10_000;

/** Stays attached to the collector until the signal fires: after every break it comes back, whatever the reason was. */
export async function stayAttached(means: AttachMeans, signal: AbortSignal): Promise<void> {
  const { log } = means;
  const backoff = new Backoff(means.backoff);
  while (!signal.aborted) {
    try {
      await means.reachable(signal);
      await attachOnce(means, () => backoff.reset(), signal);
    } catch (error) {
      if (signal.aborted) return;
      const fault = Fault.from(error);
      log.warn({ fault: fault.code, causes: causeChain(fault) }, 'not attached; trying again');
      await backoff.wait(signal, fault.retryAfterMs).catch(() => undefined);
    }
  }
}

async function attachOnce(means: AttachMeans, welcomed: () => void, signal: AbortSignal): Promise<never> {
  const { desk, log } = means;
  const stream = means.agent.attach({ signal });
  // A send that fails is followed by the stream's own ending, which says why.
  const send = (message: Parameters<typeof stream.send>[0]): void => void stream.send(message).catch(() => undefined);
  let heartbeat: NodeJS.Timeout | undefined;
  try {
    send({ message: { case: 'hello', value: hello(means) } });
    for await (const { message } of stream.responses) {
      if (heartbeat === undefined) {
        const everyMs = heartbeatInterval(message);
        heartbeat = setInterval(() => {
          const preflight = { refusals: desk.preflight() };
          const value = { agentClock: timestamp(new Date()), preflight, runningCaptureIds: desk.runningCaptureIds };
          send({ message: { case: 'heartbeat', value } });
        }, everyMs);
        welcomed();
        means.attached(true);
        log.info({ heartbeatMs: everyMs }, 'attached');
        continue;
      }
      switch (message.case) {
        case 'capture': {
          const { captureId, validFor } = message.value;
          log.info({ captureId }, 'capture ordered');
          const refusals = await desk.accept({ captureId, validForMs: durationMs(validFor) ?? 0 });
          for (const refusal of refusals) log.warn({ captureId, ...refusal }, 'order refused');
          send({ message: { case: 'answer', value: { captureId, refusals } } });
          break;
        }
        case 'cancel': {
          const { captureId } = message.value;
          const found = desk.cancel(captureId);
          log.info({ captureId, found }, 'cancel ordered');
          break;
        }
        case 'kernelTypes': {
          const { transferId } = message.value;
          log.info('kernel types ordered');
          // Beside the stream, so that an order to capture never waits for it; it tries no second time, the collector orders again.
          means.sendTypes(transferId, signal).then(
            () => log.info('kernel types sent'),
            (error: unknown) => log.warn({ causes: causeChain(error) }, 'kernel types were not sent'),
          );
          break;
        }
        case 'welcome':
        case undefined:
          // Something a newer collector says in addition.
          break;
      }
    }
    throw new Fault('unavailable', 'the collector ended the stream');
  } finally {
    clearInterval(heartbeat);
    means.attached(false);
    stream.cancel();
  }
}

function hello({ registration, desk }: AttachMeans) {
  return {
    agentVersion: registration.agentVersion,
    instanceId: registration.instanceId,
    kernel: registration.kernel,
    preflight: { refusals: desk.preflight() },
    acquirer: registration.acquirer(),
    runningCaptureIds: desk.runningCaptureIds,
    agentClock: timestamp(new Date()),
  };
}

function heartbeatInterval(message: AttachResponse['message']): number {
  if (message.case !== 'welcome') {
    throw new Fault(
      'version_unsupported',
      'the collector answers in an unknown way; bring agent and collector to one version',
    );
  }
  const askedMs = durationMs(message.value.heartbeatInterval) ?? heartbeatDefaultMs;
  return Math.max(heartbeatFloorMs, askedMs);
}
