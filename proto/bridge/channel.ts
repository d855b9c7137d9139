import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  credentials,
  experimental,
  logVerbosity,
  setLogVerbosity,
  type VerifyOptions,
} from '@grpc/grpc-js';
import { LiveIdentity, type TlsIdentity } from './live-identity.ts';

export type { TlsIdentity };

// It would print to stderr whatever a stranger's header holds: their own token, control characters, megabytes.
setLogVerbosity(logVerbosity.NONE);

/** How a channel differs from an ordinary one. */
export interface OpenOptions {
  readonly receiveLimitBytes?: number;
  /** Name that the collector's certificate must carry, when it differs from the host. */
  readonly serverName?: string;
}

/** Largest message that a collector takes: 1 MiB of data and 64 KiB around it. */
export const messageLimitBytes = (1 << 20) + (64 << 10);

/** Bytes that one stream and one connection may have under way towards the receiver. */
export const receiveWindowBytes = 8 << 20;

/** What both ends of a connection set alike: a dead peer is noticed within 20 s, a stalled one is not mistaken for an attack. */
export const transportOptions: ChannelOptions = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc-node.max_session_memory': 64,
};

/**
 * Opens a channel over mutual TLS. With a live identity each new connection has the newest certificate, and those that stand are left alone.
 * Resolving is lazy, nothing is sent yet.
 */
export function openChannel(address: string, identity: TlsIdentity | LiveIdentity, options: OpenOptions = {}): Client {
  const verify = verification(address, options);
  return open(address, mutual(identity, verify.options), { ...options, ...verify.name });
}

/** Opens a channel over TLS on which only the collector shows a certificate, one that `ca` (PEM) must vouch for: who calls is said call by call. */
export function openAnonymousChannel(address: string, ca: Buffer, options: OpenOptions = {}): Client {
  const verify = verification(address, options);
  return open(address, credentials.createSsl(ca, null, null, verify.options), { ...options, ...verify.name });
}

function mutual(identity: TlsIdentity | LiveIdentity, verify: VerifyOptions): ChannelCredentials {
  if (!(identity instanceof LiveIdentity)) {
    return credentials.createSsl(identity.ca, identity.key, identity.certificate, verify);
  }
  const provider = identity.asProvider();
  return experimental.createCertificateProviderChannelCredentials(provider, provider, verify);
}

/**
 * Returns what to hold the collector's certificate to. An IP address is none of the names that a client may ask for (RFC 6066, section 3), but grpc-js asks for
 * it, of which Node warns (DEP0123): so another name is asked for, and the certificate is held to the address.
 */
function verification(address: string, { serverName }: OpenOptions) {
  const host = /^\[(.+)\]:\d+$/.exec(address)?.[1] ?? address.replace(/:\d+$/, '');
  if (serverName !== undefined || isIP(host) === 0) return { options: {}, name: {} };
  const options: VerifyOptions = { checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate) };
  return { options, name: { serverName: 'kcorder-collector' } };
}

function open(address: string, channelCredentials: ChannelCredentials, options: OpenOptions): Client {
  return new Client(address, channelCredentials, {
    ...transportOptions,
    'grpc-node.flow_control_window': receiveWindowBytes,
    'grpc.max_receive_message_length': options.receiveLimitBytes ?? messageLimitBytes,
    'grpc.enable_retries': 0,
    // A channel that is given up takes its attempt to connect with it.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': 500,
    'grpc.min_reconnect_backoff_ms': 500,
    'grpc.max_reconnect_backoff_ms': 30_000,
    ...(options.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': options.serverName }),
  });
}
