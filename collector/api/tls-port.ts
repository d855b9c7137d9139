// Why it is done this way: docs/decisions/015-two-ports.md

import { AsyncLocalStorage } from 'node:async_hooks';
import { constants } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import type { LiveIdentity, TlsIdentity } from '@kcorder/proto/bridge/live-identity.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { handshakeMs, type PeerTrust } from '../identity/peer-trust.ts';
import type { Connection } from './door/connection.ts';
import type { Door } from './door/door.ts';
import { Handshakes } from './door/handshakes.ts';
import { doorLimits } from './door/limits.ts';

/** A port that takes TLS connections. */
export interface TlsPort {
  readonly port: number;
  /** Takes no more connections; those that stand are the server's. */
  close(): void;
}

/** How a port is served. */
export interface TlsPortDeps {
  readonly door: Door;
  readonly identity: LiveIdentity;
  /** Checks the certificates of clients, for as long as a connection lives; unset: none is asked for. */
  readonly peers?: PeerTrust;
  /** A connection was ended because its certificate does not hold any more. */
  ended(peer: string, why: string): void;
}

/**
 * Listens on host:port and hands each connection whose handshake succeeded to the door, which was asked before it began. The sockets are our own,
 * since grpc-js has no setting for tickets, which resume what the certificate would not begin, and does not give its sockets out. Throws
 * config_invalid.
 */
export async function openTlsPort(address: string, { door, identity, peers, ended }: TlsPortDeps): Promise<TlsPort> {
  const mutual = peers !== undefined;
  const name = mutual ? 'agents' : 'api';
  // The connection a handshake belongs to: Node does not give out the socket below a TLSSocket.
  // The peer's address and port would not do: they can connect to two of our addresses at once.
  const arriving = new AsyncLocalStorage<Connection | undefined>();
  const secure = tls.createServer({
    requestCert: mutual,
    rejectUnauthorized: mutual,
    handshakeTimeout: handshakeMs,
    ALPNProtocols: ['h2'],
  });
  const stopWatching = identity.watch((current) => secure.setSecureContext(contextOf(current, mutual)));
  secure.on('tlsClientError', (_error, socket) => socket.destroy());
  secure.on('secureConnection', (socket) => {
    // Its session hears of the same error.
    socket.on('error', () => undefined);
    const connection = arriving.getStore();
    if (connection === undefined || socket.alpnProtocol !== 'h2') {
      socket.destroy();
      return;
    }
    const certificate = peers === undefined ? undefined : socket.getPeerX509Certificate();
    if (certificate !== undefined) {
      const leave = peers?.stand(certificate.raw, (why) => {
        ended(connection.peer, why);
        socket.destroy();
      });
      socket.once('close', () => leave?.());
    }
    // With no store: timers and promises that calls leave behind would keep the connection in memory.
    if (!socket.destroyed) arriving.run(undefined, () => door.enter(socket, connection));
  });
  const handshakes = new Handshakes(doorLimits.handshakes[name]);
  const listener = net.createServer({ pauseOnConnect: true }, (raw) => {
    raw.on('error', () => undefined);
    const connection = door.connections.arrive(raw, name);
    if (connection === undefined) return;
    handshakes.begin(connection.origin, () => {
      if (!raw.destroyed) arriving.run(connection, () => secure.emit('connection', raw));
    });
  });
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  const port = await new Promise<number>((resolve, reject) => {
    listener.once('error', (cause) => {
      const advice = 'see whether another program does';
      reject(new Fault('config_invalid', `the collector cannot listen on ${address}: ${advice}`, { cause }));
    });
    listener.listen(Number(address.slice(at + 1)), host, () => {
      const bound = listener.address();
      resolve(bound === null || typeof bound === 'string' ? 0 : bound.port);
    });
  });
  return {
    port,
    close: () => {
      stopWatching();
      listener.close();
    },
  };
}

function contextOf({ ca, certificate, key }: TlsIdentity, mutual: boolean): tls.SecureContextOptions {
  return {
    cert: certificate,
    key,
    ...(mutual ? { ca } : {}),
    minVersion: 'TLSv1.3',
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}
