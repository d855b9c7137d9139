import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from '@grpc/grpc-js';
import { messageLimitBytes, transportOptions } from '@kcorder/proto/bridge/channel.ts';
import { pathOf } from '@kcorder/proto/bridge/definition.ts';
import type { LiveIdentity } from '@kcorder/proto/bridge/live-identity.ts';
import { type CallContext, type Edge, serve } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { AgentService } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { EvidenceService } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { ScheduleService } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { SymbolsService } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import type { NodeIdentity } from '../capture/capture.ts';
import { type AttachmentEvents, serveAttachment } from '../fleet/attachment.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { PeerTrust } from '../identity/peer-trust.ts';
import type { Acquisitions } from '../ingest/acquisitions.ts';
import type { TypesTransfers } from '../ingest/kernel-types.ts';
import { receiveUpload } from '../ingest/uploads.ts';
import type { ConnectionRefused } from './door/connections.ts';
import { Door } from './door/door.ts';
import type { Arrival } from './door/guarded-call.ts';
import type { EnrolmentHandlers } from './enrolment.ts';
import type { EvidenceHandlers } from './evidence.ts';
import { callingNode, type Gate } from './gate.ts';
import { addHealth } from './health.ts';
import type { OperatorHandlers } from './operator.ts';
import { ruleOf } from './policy.ts';
import { addReflection } from './reflection.ts';
import type { ScheduleHandlers } from './schedules.ts';
import type { SymbolsHandlers } from './symbols.ts';
import { openTlsPort } from './tls-port.ts';

/** What the server's calls reach. */
export interface ServerDeps {
  readonly version: string;
  readonly fleet: Fleet;
  readonly acquisitions: Acquisitions;
  readonly typesTransfers: TypesTransfers;
  readonly attachmentEvents: AttachmentEvents;
  readonly operator: OperatorHandlers;
  readonly evidence: EvidenceHandlers;
  readonly schedule: ScheduleHandlers;
  readonly symbols: SymbolsHandlers;
  readonly enrolment: EnrolmentHandlers;
  readonly gate: Gate;
  /** Throws unauthenticated when a node is not the one of its name any more. */
  checkNode(node: NodeIdentity): void;
  /** A connection was ended because its certificate does not hold any more. */
  connectionEnded(peer: string, why: string): void;
  /** A connection was not taken, or not kept, for the sake of the others. */
  readonly connectionRefused: ConnectionRefused;
  /** Sees the ending of every call that was let in. */
  ended(context: CallContext, fault: Fault | undefined): void;
  /** A call was not let in, or its request was not taken. */
  refused(arrival: Arrival, fault: Fault): void;
}

/** Where the server listens: host:port, port 0 for any. */
export interface Addresses {
  /** Mutual TLS: agents, and people with certificates. */
  readonly agents: string;
  /** TLS of the server alone: people with tokens, and agents that enrol. Empty: not offered. */
  readonly api: string;
}

/** A server that listens. */
export interface RunningServer {
  readonly port: number;
  /** 0 when it is not offered. */
  readonly apiPort: number;
  /** Takes no new calls, gives the open ones a moment, then ends. */
  close(): Promise<void>;
}

/** The server's identity, and the trust in that of its peers. */
export interface Shown {
  readonly identity: LiveIdentity;
  readonly peers: PeerTrust;
}

const closingMs = 5_000;
/** Between two looks at whether the node of a stream is still there. */
const nodeLookMs = 10_000;
/** No new call on a connection after half an hour, give or take a tenth; what still runs on it has as long again. */
const connectionAgeMs = 30 * 60_000;

/** Listens with TLS 1.3 and nothing else. Throws config_invalid when an address cannot be used. */
export async function listen(
  addresses: Addresses,
  { identity, peers }: Shown,
  deps: ServerDeps,
): Promise<RunningServer> {
  const door = new Door({
    meet: (arrival) => deps.gate.meet(arrival),
    supervise: (arrival, end) => deps.gate.superviseStandard(arrival, end),
    refused: deps.refused,
    connectionRefused: deps.connectionRefused,
  });
  const server = new Server({
    ...transportOptions,
    interceptors: [door.interceptor],
    'grpc.max_receive_message_length': messageLimitBytes,
    // It keeps a trace of each connection for a service that is not offered.
    'grpc.enable_channelz': 0,
    'grpc.max_connection_age_ms': connectionAgeMs,
    'grpc.max_connection_age_grace_ms': connectionAgeMs,
  });
  const edge: Edge = {
    admit: (context, request) => deps.gate.admit(context, request),
    supervise: (context, request, end) =>
      ruleOf(pathOf(context.method))?.by === 'node'
        ? superviseNode(context, end)
        : deps.gate.supervise(context, request, end),
    ended: deps.ended,
  };
  const presentNode = (context: CallContext): NodeIdentity => {
    const node = callingNode(context);
    deps.checkNode(node);
    return node;
  };
  /** Ends a stream once its node is not the one of its name any more. */
  const superviseNode = (context: CallContext, end: (fault: Fault) => void): (() => void) => {
    const timer = setInterval(() => {
      try {
        presentNode(context);
      } catch (error) {
        end(Fault.from(error));
      }
    }, nodeLookMs);
    timer.unref();
    return () => clearInterval(timer);
  };
  serve(server, OperatorService, deps.operator, edge);
  serve(server, EvidenceService, deps.evidence, edge);
  serve(server, ScheduleService, deps.schedule, edge);
  serve(server, SymbolsService, deps.symbols, edge);
  serve(server, EnrolmentService, deps.enrolment, edge);
  serve(
    server,
    AgentService,
    {
      attach: (requests, context) =>
        serveAttachment({
          requests,
          node: presentNode(context),
          fleet: deps.fleet,
          events: deps.attachmentEvents,
          version: deps.version,
          signal: context.signal,
        }),
    },
    edge,
  );
  serve(
    server,
    IngestService,
    {
      upload: (requests, context) => receiveUpload(requests, presentNode(context), deps.acquisitions, context.signal),
      sendKernelTypes: (requests, context) => deps.typesTransfers.serve(requests, presentNode(context), context.signal),
    },
    edge,
  );
  addHealth(server);
  addReflection(server);
  door.serve(server);
  const portDeps = { door, identity, ended: deps.connectionEnded };
  const agents = await openTlsPort(addresses.agents, { ...portDeps, peers });
  // Two ports, not one that asks for a certificate and goes on without: there is no call that could mistake one caller for the other.
  const api = addresses.api === '' ? undefined : await openTlsPort(addresses.api, portDeps);
  return {
    port: agents.port,
    apiPort: api?.port ?? 0,
    close: async () => {
      agents.close();
      api?.close();
      // grpc-js waits for ever for a session that is destroyed at this very moment.
      const late = sleep(closingMs, undefined, { ref: false });
      await Promise.race([new Promise<void>((resolve) => server.tryShutdown(() => resolve())), late]);
      server.forceShutdown();
      door.close();
    },
  };
}
