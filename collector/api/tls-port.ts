import { constants } from 'node:crypto';
import tls, { type TLSSocket } from 'node:tls';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import type { LiveIdentity, TlsIdentity } from '@kcorder/proto/bridge/live-identity.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { handshakeMs, type PeerTrust } from '../identity/peer-trust.ts';

/** A port that takes TLS connections. */
export interface TlsPort {
  readonly port: number;
  /** Takes no more connections; those that stand are the server's. */
  close(): void;
}

/** How a port is served. */
export interface PortMeans {
  readonly server: Server;
  readonly identity: LiveIdentity;
  /** Who must vouch for the certificates of clients, as long as a connection lives; unset: none is asked for. */
  readonly peers?: PeerTrust;
  /** A connection was ended because its certificate does not hold any more. */
  ended(peer: string, why: string): void;
}

/**
 * Listens on host:port and hands each connection whose handshake succeeded to the server. The sockets are our own, since grpc-js has no setting for
 * tickets, which resume what the certificate would not begin, and does not give its sockets out. Throws config_invalid.
 */
export async function openTlsPort(address: string, { server, identity, peers, ended }: PortMeans): Promise<TlsPort> {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const mutual = peers !== undefined;
  const listener = tls.createServer({
    requestCert: mutual,
    rejectUnauthorized: mutual,
    handshakeTimeout: handshakeMs,
    ALPNProtocols: ['h2'],
  });
  const stopWatching = identity.watch((current) => listener.setSecureContext(contextOf(current, mutual)));
  listener.on('tlsClientError', (_error, socket) => socket.destroy());
  listener.on('secureConnection', (socket) => {
    // What breaks a connection is told to its session too.
    socket.on('error', () => undefined);
    const certificate = peers === undefined ? undefined : socket.getPeerX509Certificate();
    if (certificate !== undefined) {
      const leave = peers?.stand(certificate.raw, (why) => {
        ended(addressOf(socket), why);
        socket.destroy();
      });
      socket.once('close', () => leave?.());
    }
    if (!socket.destroyed) injector.injectConnection(socket);
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

const addressOf = ({ remoteAddress = '', remotePort = 0 }: TLSSocket): string => `${remoteAddress}:${remotePort}`;
