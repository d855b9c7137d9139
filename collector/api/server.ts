import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from '@grpc/grpc-js';
import { messageLimitBytes, transportOptions } from '@kcorder/proto/bridge/channel.ts';
import { pathOf } from '@kcorder/proto/bridge/definition.ts';
import type { LiveIdentity } from '@kcorder/proto/bridge/live-identity.ts';
import type { CallContext } from '@kcorder/proto/bridge/serve.ts';
import type { Fault } from '@kcorder/proto/fault.ts';
import type { PeerTrust } from '../identity/peer-trust.ts';
import { type PresentNode, superviseNode } from './agent-handlers.ts';
import type { ConnectionRefused } from './door/connections.ts';
import { Door } from './door/door.ts';
import type { Arrival } from './door/guarded-call.ts';
import type { Gate } from './gate.ts';
import { ruleOf } from './policy.ts';
import { type Services, serveAll } from './services.ts';
import { openTlsPort, type TlsPort, type TlsPortDeps } from './tls-port.ts';

/** Events of connections and calls. */
export interface ServerEvents {
  /** A connection was ended because its certificate does not hold any more. */
  connectionEnded(peer: string, why: string): void;
  /** A connection was not taken, or not kept, for the sake of the others. */
  readonly connectionRefused: ConnectionRefused;
  /** Every call that was let in has ended. */
  ended(context: CallContext, fault: Fault | undefined): void;
  /** A call was not let in, or its request was not taken. */
  refused(arrival: Arrival, fault: Fault): void;
}

/** Everything the server is made of. */
export interface ServerDeps {
  readonly services: Services;
  readonly gate: Gate;
  readonly presentNode: PresentNode;
  readonly events: ServerEvents;
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
/** No new call on a connection after half an hour, give or take a tenth; what still runs on it has as long again. */
const connectionAgeMs = 30 * 60_000;

/** Listens with TLS 1.3 and nothing else. Throws config_invalid when an address cannot be used. */
export async function listen(
  addresses: Addresses,
  { identity, peers }: Shown,
  { services, gate, presentNode, events }: ServerDeps,
): Promise<RunningServer> {
  await using opened = new AsyncDisposableStack();
  const door = new Door({
    meet: (arrival) => gate.meet(arrival),
    supervise: (arrival, end) => gate.superviseStandard(arrival, end),
    refused: events.refused,
    connectionRefused: events.connectionRefused,
  });
  opened.defer(() => door.close());
  const server = new Server({
    ...transportOptions,
    interceptors: [door.interceptor],
    'grpc.max_receive_message_length': messageLimitBytes,
    // It keeps a trace of each connection for a service that is not offered.
    'grpc.enable_channelz': 0,
    'grpc.max_connection_age_ms': connectionAgeMs,
    'grpc.max_connection_age_grace_ms': connectionAgeMs,
  });
  opened.defer(() => shutDown(server));
  serveAll(server, services, {
    admit: (context, request) => gate.admit(context, request),
    supervise: (context, request, end) =>
      ruleOf(pathOf(context.method))?.by === 'node'
        ? superviseNode(presentNode, context, end)
        : gate.supervise(context, request, end),
    ended: (context, fault) => {
      if (fault !== undefined) door.failed(context.metadata, fault);
      events.ended(context, fault);
    },
  });
  door.serve(server);
  const portDeps = { door, identity, ended: events.connectionEnded };
  const open = async (address: string, deps: TlsPortDeps): Promise<TlsPort> =>
    opened.adopt(await openTlsPort(address, deps), (port) => port.close());
  const agents = await open(addresses.agents, { ...portDeps, peers });
  // Two ports, not one that asks for a certificate and goes on without: there is no call that could mistake one caller for the other.
  const api = addresses.api === '' ? undefined : await open(addresses.api, portDeps);
  const owned = opened.move();
  return { port: agents.port, apiPort: api?.port ?? 0, close: () => owned.disposeAsync() };
}

/** Ends a server whose ports are closed: the open calls have a moment. */
async function shutDown(server: Server): Promise<void> {
  // grpc-js waits for ever for a session that is destroyed at this very moment.
  const late = sleep(closingMs, undefined, { ref: false });
  await Promise.race([new Promise<void>((resolve) => server.tryShutdown(() => resolve())), late]);
  server.forceShutdown();
}
