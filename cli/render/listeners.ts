import type { Socket } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';

/** What a process waits for connections on: `tcp *:4444`, `udp [fe80::1]:546`; each place once, in the order of the descriptors. */
export function listenersOf(sockets: readonly Socket[]): string[] {
  return [...new Set(sockets.filter(isListening).map(placeOf))];
}

function isListening(socket: Socket): boolean {
  if (!['AF_INET', 'AF_INET6', 'AF_VSOCK'].includes(socket.family) || socket.localPort === 0) return false;
  if (socket.state.toUpperCase() === 'LISTEN') return true;
  // A bound datagram socket without a peer takes datagrams from anybody; it has no state of that name.
  return /^udp/i.test(socket.protocol) && socket.remotePort === 0;
}

function placeOf(socket: Socket): string {
  return `${socket.protocol.toLowerCase()} ${hostOf(socket.localAddress)}:${socket.localPort}`;
}

function hostOf(address: string): string {
  if (address === '0.0.0.0' || address === '') return '*';
  return address.includes(':') ? `[${address}]` : address;
}
