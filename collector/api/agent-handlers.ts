import type { CallContext, Handlers } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { AgentService } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import type { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import type { NodeIdentity } from '../capture/capture.ts';
import { type AttachmentEvents, serveAttachment } from '../fleet/attachment.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Acquisitions } from '../ingest/acquisitions.ts';
import type { TypesTransfers } from '../ingest/kernel-types.ts';
import { receiveUpload } from '../ingest/uploads.ts';
import { callingNode } from './gate.ts';

export type AgentHandlers = Handlers<typeof AgentService>;
export type IngestHandlers = Handlers<typeof IngestService>;

/** Returns the node that calls. Throws unauthenticated when it is not the one of its name any more. */
export type PresentNode = (context: CallContext) => NodeIdentity;

/** Between two looks at whether the node of a stream is still there. */
const nodeLookMs = 10_000;

/** `strangeness` says why a node is none of the cluster's. */
export const presentNode =
  (strangeness: (node: NodeIdentity) => string | undefined): PresentNode =>
  (context) => {
    const node = callingNode(context);
    const why = strangeness(node);
    if (why !== undefined) throw new Fault('unauthenticated', why);
    return node;
  };

/** Ends a stream once its node is not the one of its name any more. Returns the function that stops the watching. */
export function superviseNode(present: PresentNode, context: CallContext, end: (fault: Fault) => void): () => void {
  const timer = setInterval(() => {
    try {
      present(context);
    } catch (error) {
      end(Fault.from(error));
    }
  }, nodeLookMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** Makes the handlers of the streams that agents attach by. */
export const agentHandlers = (
  present: PresentNode,
  fleet: Fleet,
  events: AttachmentEvents,
  version: string,
): AgentHandlers => ({
  attach: (requests, context) =>
    serveAttachment({ requests, node: present(context), fleet, events, version, signal: context.signal }),
});

/** Makes the handlers of what agents send. */
export const ingestHandlers = (
  present: PresentNode,
  acquisitions: Acquisitions,
  transfers: TypesTransfers,
): IngestHandlers => ({
  upload: (requests, context) => receiveUpload(requests, present(context), acquisitions, context.signal),
  sendKernelTypes: (requests, context) => transfers.serve(requests, present(context), context.signal),
});
