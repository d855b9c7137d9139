import { type ChannelOptions, Client, credentials } from '@grpc/grpc-js';

/** PEM texts of one end of a mutual TLS connection. */
export interface TlsIdentity {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
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

/** Opens a channel over mutual TLS; there is no other way to reach a collector. Resolving is lazy, nothing is sent yet. */
export function openChannel(
  address: string,
  identity: TlsIdentity,
  options: { receiveLimitBytes?: number; serverName?: string } = {},
): Client {
  return new Client(address, credentials.createSsl(identity.ca, identity.key, identity.certificate), {
    ...transportOptions,
    'grpc-node.flow_control_window': receiveWindowBytes,
    'grpc.max_receive_message_length': options.receiveLimitBytes ?? messageLimitBytes,
    'grpc.enable_retries': 0,
    'grpc.initial_reconnect_backoff_ms': 500,
    'grpc.min_reconnect_backoff_ms': 500,
    'grpc.max_reconnect_backoff_ms': 30_000,
    ...(options.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': options.serverName }),
  });
}
