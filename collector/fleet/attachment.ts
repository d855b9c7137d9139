import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, timestampNow } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';
import type { AttachRequest, AttachResponseSchema, Hello } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import type { Preflight } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import type { Kernel, NodeIdentity } from '../capture/capture.ts';
import type { PreflightRefusal } from '../journal/node-journal.ts';
import type { Attached, Fleet, Order } from './fleet.ts';

type Response = MessageInitShape<typeof AttachResponseSchema>;

/** What an attachment tells the rest of the collector. */
export interface AttachmentEvents {
  /** An agent is there; these captures live in it. */
  attached(agent: Attached, runningCaptureIds: readonly string[]): void;
  /** The agent is alive; these captures live in it. */
  heard(node: NodeIdentity, runningCaptureIds: readonly string[]): void;
  /** The agent will not carry out an order. */
  refused(node: NodeIdentity, captureId: string, detail: string): void;
}

/** One attach stream, and what serving it works with. */
export interface AttachmentDeps {
  readonly requests: AsyncIterable<AttachRequest>;
  readonly node: NodeIdentity;
  readonly fleet: Fleet;
  readonly events: AttachmentEvents;
  /** Of the collector. */
  readonly version: string;
  readonly signal: AbortSignal;
}

const heartbeatMs = 5_000;

/** Serves one attach stream, from its hello until either side ends it. */
export async function* serveAttachment({
  requests,
  node,
  fleet,
  events,
  version,
  signal,
}: AttachmentDeps): AsyncIterable<Response> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done || first.value.message.case !== 'hello') {
    throw new Fault('invalid_argument', `node ${node.name}: an attach stream begins with a hello`);
  }
  const hello = first.value.message.value;
  const outbox = new Outbox();
  const known = {
    ...node,
    lastSeenAt: new Date().toISOString(),
    agentVersion: hello.agentVersion,
    kernel: kernelOf(hello, node),
    refusals: refusalsOf(hello.preflight),
  };
  const agent: Attached = {
    node: known,
    instanceId: hello.instanceId,
    send: (order) => outbox.put(toMessage(order)),
    detach: (fault) => outbox.end(fault && { error: fault }),
  };
  fleet.attach(agent);
  signal.addEventListener('abort', () => outbox.end({ error: signal.reason }), { once: true });
  try {
    yield {
      message: {
        case: 'welcome',
        value: {
          collectorVersion: version,
          heartbeatInterval: durationFromMs(heartbeatMs),
          collectorClock: timestampNow(),
        },
      },
    };
    events.attached(agent, hello.runningCaptureIds);
    void listen(iterator, node, fleet, events).then(
      () => outbox.end(),
      (error: unknown) => outbox.end({ error }),
    );
    yield* outbox;
  } finally {
    fleet.detached(agent);
  }
}

async function listen(
  requests: AsyncIterator<AttachRequest>,
  node: NodeIdentity,
  fleet: Fleet,
  events: AttachmentEvents,
): Promise<void> {
  while (true) {
    const { done, value } = await requests.next();
    if (done) return;
    const { message } = value;
    if (message.case === 'heartbeat') {
      fleet.seen(node.uid, refusalsOf(message.value.preflight));
      events.heard(node, message.value.runningCaptureIds);
    } else if (message.case === 'answer' && message.value.refusals.length > 0) {
      events.refused(node, message.value.captureId, message.value.refusals.map(({ message: text }) => text).join('; '));
    }
  }
}

/** Orders on their way to the agent, none lost while the stream lives. */
class Outbox implements AsyncIterable<Response> {
  readonly #waiting: Response[] = [];
  #ended: { error?: unknown } | undefined;
  #wake: (() => void) | undefined;

  put(message: Response): void {
    this.#waiting.push(message);
    this.#wake?.();
  }

  end(how: { error?: unknown } = {}): void {
    this.#ended ??= how;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Response, void, undefined> {
    while (true) {
      const message = this.#waiting.shift();
      if (message !== undefined) yield message;
      else if (this.#ended !== undefined) {
        if ('error' in this.#ended) throw this.#ended.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

function toMessage(order: Order): Response {
  switch (order.kind) {
    case 'capture': {
      const { captureId, validForMs } = order;
      return { message: { case: 'capture', value: { captureId, validFor: durationFromMs(validForMs) } } };
    }
    case 'cancel':
      return { message: { case: 'cancel', value: { captureId: order.captureId } } };
    case 'kernel_types':
      return { message: { case: 'kernelTypes', value: { transferId: order.transferId } } };
  }
}

function refusalsOf(preflight: Preflight | undefined): PreflightRefusal[] {
  return (preflight?.refusals ?? []).map(({ reason, message }) => ({ reason, message }));
}

function kernelOf(hello: Hello, node: NodeIdentity): Kernel {
  if (hello.kernel === undefined)
    throw new Fault('invalid_argument', `node ${node.name}: its hello carries no kernel descriptor`);
  const {
    release,
    banner,
    buildId,
    vmcoreinfo,
    architecture,
    cosBuildId,
    bootId,
    machineId,
    lockdown,
    ramRanges,
    typesDigest,
    typesProblem,
  } = hello.kernel;
  return {
    release,
    banner,
    buildId,
    vmcoreinfo,
    architecture,
    cosBuildId,
    bootId,
    machineId,
    lockdown,
    ramRanges: ramRanges.map(({ start, end }) => ({ start, end })),
    typesDigest: /^[0-9a-f]{64}$/.test(typesDigest) ? typesDigest : '',
    typesProblem,
  };
}
