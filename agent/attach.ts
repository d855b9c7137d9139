import type { Calls } from '@kcorder/proto/bridge/connect.ts';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { AgentService, AttachResponse } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import type { Logger } from 'pino';
import type { Acquirer } from './avml/avml.ts';
import { Backoff, type BackoffRange } from './backoff.ts';
import type { OrderRunner } from './capture/order-runner.ts';
import type { Route } from './capture/resume.ts';
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
export interface AttachDeps extends Route {
  readonly agent: Calls<typeof AgentService>;
  readonly registration: Registration;
  readonly orders: OrderRunner;
  /** Sends what the kernel knows of its types and symbols; throws when it could not. */
  readonly sendTypes: (transferId: string, signal: AbortSignal) => Promise<void>;
  readonly backoff: BackoffRange;
  /** Hears when the collector has welcomed the agent, and when that is over. */
  readonly attached: (isAttached: boolean) => void;
  readonly log: Logger;
}

/** Shortest interval that a collector can ask for. */
const heartbeatFloorMs = 200;
const heartbeatDefaultMs = 10_000;

/** How long a stream may stay after another has taken its place; the collector ends it at once. */
const farewellMs = 10_000;

/**
 * Stays attached to the collector until the signal fires: after every break it comes back, whatever the reason was. To a newer connection it moves
 * without a gap: the collector takes the new stream for the old one, which is listened to until its end.
 */
export async function stayAttached(deps: AttachDeps, signal: AbortSignal): Promise<void> {
  const { log } = deps;
  const backoff = new Backoff(deps.backoff);
  let current: Attachment | undefined;
  while (!signal.aborted) {
    try {
      if (current === undefined) await deps.reachable(signal);
      const next: Attachment = attach(deps, signal);
      // From here on: what happens to the connection before the welcome counts too.
      const moved = deps.replaced(next.over).catch(() => next.ended);
      moved.catch(() => undefined);
      const before = current;
      current = next;
      await Promise.race([next.welcomed, next.ended]).finally(() => before?.retire());
      backoff.reset();
      deps.attached(true);
      await Promise.race([next.ended, moved]);
      log.info('moving to a newer connection');
    } catch (error) {
      deps.attached(false);
      current?.cancel();
      current = undefined;
      if (signal.aborted) return;
      const fault = Fault.from(error);
      log.warn({ fault: fault.code, causes: causeChain(fault) }, 'not attached; trying again');
      await backoff.wait(signal, fault.retryAfterMs).catch(() => undefined);
    }
  }
}

/** One attach stream. */
interface Attachment {
  /** Resolves with the collector's welcome. */
  readonly welcomed: Promise<void>;
  /** Rejects with what ended the stream. */
  readonly ended: Promise<never>;
  /** Fires when the stream has ended. */
  readonly over: AbortSignal;
  /** Another stream has taken its place: it tells nothing more and is left to the collector, or a little later to nobody. */
  retire(): void;
  cancel(): void;
}

function attach(deps: AttachDeps, signal: AbortSignal): Attachment {
  const stream = deps.agent.attach({ signal });
  const welcomed = Promise.withResolvers<void>();
  const over = new AbortController();
  // A send that fails is followed by the stream's own ending, which says why.
  const send: Send = (message) => void stream.send({ message }).catch(() => undefined);
  let heartbeat: NodeJS.Timeout | undefined;
  const follow = async (): Promise<never> => {
    try {
      send({ case: 'hello', value: hello(deps) });
      for await (const { message } of stream.responses) {
        if (heartbeat !== undefined) {
          await obey(deps, message, send, signal);
          continue;
        }
        const everyMs = heartbeatInterval(message);
        heartbeat = setInterval(() => {
          const { orders } = deps;
          const preflight = { refusals: orders.preflight() };
          const value = { agentClock: timestamp(new Date()), preflight, runningCaptureIds: orders.runningCaptureIds };
          send({ case: 'heartbeat', value });
        }, everyMs);
        deps.log.info({ heartbeatMs: everyMs }, 'attached');
        welcomed.resolve();
      }
      throw new Fault('unavailable', 'the collector ended the stream');
    } finally {
      clearInterval(heartbeat);
      over.abort();
      stream.cancel();
    }
  };
  const ended = follow();
  // Waited for until it is retired, when its end is nobody's.
  ended.catch(() => undefined);
  return {
    welcomed: welcomed.promise,
    ended,
    over: over.signal,
    cancel: stream.cancel,
    retire: () => {
      clearInterval(heartbeat);
      setTimeout(stream.cancel, farewellMs).unref();
    },
  };
}

type Send = (message: NonNullable<Parameters<ReturnType<AttachDeps['agent']['attach']>['send']>[0]['message']>) => void;

async function obey(
  { orders, sendTypes, log }: AttachDeps,
  message: AttachResponse['message'],
  send: Send,
  signal: AbortSignal,
): Promise<void> {
  switch (message.case) {
    case 'capture': {
      const { captureId, validFor } = message.value;
      log.info({ captureId }, 'capture ordered');
      const refusals = await orders.accept({ captureId, validForMs: durationMs(validFor) ?? 0 });
      for (const refusal of refusals) log.warn({ captureId, ...refusal }, 'order refused');
      send({ case: 'answer', value: { captureId, refusals } });
      return;
    }
    case 'cancel': {
      const { captureId } = message.value;
      const found = orders.cancel(captureId);
      log.info({ captureId, found }, 'cancel ordered');
      return;
    }
    case 'kernelTypes': {
      const { transferId } = message.value;
      log.info('kernel types ordered');
      // Beside the stream, so that an order to capture never waits for it; it tries no second time, the collector orders again.
      sendTypes(transferId, signal).then(
        () => log.info('kernel types sent'),
        (error: unknown) => log.warn({ causes: causeChain(error) }, 'kernel types were not sent'),
      );
      return;
    }
    case 'welcome':
    case undefined:
      // Something a newer collector says in addition.
      return;
  }
}

function hello({ registration, orders }: AttachDeps) {
  return {
    agentVersion: registration.agentVersion,
    instanceId: registration.instanceId,
    kernel: registration.kernel,
    preflight: { refusals: orders.preflight() },
    acquirer: registration.acquirer(),
    runningCaptureIds: orders.runningCaptureIds,
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
