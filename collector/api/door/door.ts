// Why it is done this way: docs/decisions/031-front-door.md

import http2, { type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { type Metadata, type Server, ServerCredentials, type ServerInterceptor } from '@grpc/grpc-js';
import { Fault } from '@kcorder/proto/fault.ts';
import { ByteBudget } from './byte-budget.ts';
import type { Connection } from './connection.ts';
import { type ConnectionRefused, Connections } from './connections.ts';
import { type CallDeps, GuardedCall } from './guarded-call.ts';
import { doorLimits } from './limits.ts';
import { UploadWindows } from './upload-windows.ts';

/** What the door asks and tells. */
export interface DoorDeps extends Pick<CallDeps, 'meet' | 'supervise' | 'refused'> {
  readonly connectionRefused: ConnectionRefused;
}

const sweepMs = 1_000;
const unseenMs = 100;

/**
 * Where connections and calls come in: it has the http2 sessions, whose limits grpc-js does not give out, and hands each stream to grpc-js with a
 * guard around the call.
 */
export class Door {
  readonly connections: Connections;
  readonly budget = new ByteBudget(doorLimits.bodies, doorLimits.bodiesOfOne, doorLimits.bodiesOfAddress);
  readonly #calls: CallDeps;
  readonly #arrived = new WeakMap<Metadata, GuardedCall>();
  readonly #http2 = http2.createServer(sessionOptions);
  readonly #timers: readonly NodeJS.Timeout[];
  #arriving: Connection | undefined;
  #stream: { readonly stream: ServerHttp2Stream; readonly connection: Connection } | undefined;

  constructor({ meet, supervise, refused, connectionRefused }: DoorDeps) {
    this.connections = new Connections(connectionRefused);
    this.#calls = {
      ...{ meet, supervise, refused, connections: this.connections, budget: this.budget, arrived: this.#arrived },
      windows: new UploadWindows(this.budget),
    };
    this.#timers = [
      setInterval(() => this.connections.sweep(performance.now()), sweepMs),
      setInterval(() => this.connections.countUnseen(), unseenMs),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  /** For the options of the grpc-js server that `serve` is given. */
  readonly interceptor: ServerInterceptor = (method, call) => {
    const arrived = this.#stream;
    this.#stream = undefined;
    if (arrived === undefined) throw new Fault('internal', 'a call came past the door');
    return new GuardedCall(this.#calls, arrived.connection, arrived.stream, method, call).intercept();
  };

  /** From now on what comes in is served by this server. Throws internal when it is not the grpc-js that we know. */
  serve(server: Server): void {
    const inner = innerServer(server);
    const connectionOf = new WeakMap<ServerHttp2Session, Connection>();
    this.#http2.on('session', (session) => {
      const connection = this.#arriving;
      if (connection === undefined) {
        session.destroy();
        return;
      }
      connection.began(session);
      connectionOf.set(session, connection);
      session.on('error', () => undefined);
      inner.emit('session', session);
    });
    this.#http2.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      // A reset that was read together with the headers is told after this, and before anybody else listens.
      stream.on('error', () => undefined);
      const connection = connectionOf.get(stream.session as ServerHttp2Session);
      if (connection === undefined) {
        stream.destroy();
        return;
      }
      if (connection.isEnding) {
        stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
        return;
      }
      connection.streamOpened();
      stream.once('close', () => connection.streamClosed());
      this.#stream = { stream, connection };
      inner.emit('stream', stream, headers);
      // No such method, or not gRPC: it was answered already.
      if (this.#stream !== undefined) this.connections.failed(connection, 'refused');
      this.#stream = undefined;
    });
  }

  /** The handler of a call with these headers has failed. */
  failed(metadata: Metadata, fault: Fault): void {
    this.#arrived.get(metadata)?.failed(fault);
  }

  /** Takes a connection whose handshake has succeeded. */
  enter(socket: TLSSocket, connection: Connection): void {
    connection.secured(socket);
    this.#arriving = connection;
    try {
      this.#http2.emit('connection', socket);
    } finally {
      this.#arriving = undefined;
    }
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.connections.destroyAll();
  }
}

const sessionOptions: http2.ServerOptions = {
  maxSendHeaderBlockLength: Number.MAX_SAFE_INTEGER,
  maxSessionMemory: 64,
  maxHeaderListPairs: 64,
  // A first bound, which needs no JavaScript to hold; what is reset is counted per peer besides.
  streamResetBurst: 200,
  streamResetRate: 20,
  settings: {
    enablePush: false,
    maxConcurrentStreams: doorLimits.streamsOfStranger,
    initialWindowSize: doorLimits.window,
    // A token of 16 KiB and what is around it.
    maxHeaderListSize: 32 << 10,
  },
};

/** The http2 server inside of a grpc-js server, whose listeners serve sessions and streams. grpc-js has no public way to it. */
function innerServer(server: Server): http2.Http2Server {
  server.createConnectionInjector(ServerCredentials.createInsecure());
  const inner: unknown = Reflect.get(server, 'http2Servers');
  const [first] = inner instanceof Map ? inner.keys() : [];
  const isKnown = first instanceof Object && 'listenerCount' in first;
  const http2Server = first as http2.Http2Server;
  if (!isKnown || http2Server.listenerCount('stream') !== 1 || http2Server.listenerCount('session') !== 1)
    throw new Fault('internal', 'this version of grpc-js keeps its http2 server elsewhere');
  return http2Server;
}
