import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { SocketSchema } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { expect, test } from 'vitest';
import { listenersOf } from './listeners.ts';

const tcp = {
  family: 'AF_INET',
  type: 'STREAM',
  protocol: 'TCP',
  state: 'LISTEN',
  localAddress: '0.0.0.0',
  localPort: 4444,
};
const udp = { ...tcp, type: 'DGRAM', protocol: 'UDP', state: 'UNCONNECTED', localPort: 53 };

test.each<[string, MessageInitShape<typeof SocketSchema>[], string[]]>([
  ['a listener on every address', [tcp], ['tcp *:4444']],
  ['one on a single address', [{ ...tcp, localAddress: '127.0.0.1' }], ['tcp 127.0.0.1:4444']],
  ['one on IPv6', [{ ...tcp, family: 'AF_INET6', localAddress: '::' }], ['tcp [::]:4444']],
  ['one that two descriptors hold is named once', [tcp, { ...tcp, fd: 9 }], ['tcp *:4444']],
  ['an established connection listens on nothing', [{ ...tcp, state: 'ESTABLISHED', remotePort: 80 }], []],
  ['a bound datagram socket', [udp], ['udp *:53']],
  [
    'a connected datagram socket takes from its peer alone',
    [{ ...udp, remoteAddress: '192.0.2.1', remotePort: 53 }],
    [],
  ],
  ['an unbound socket', [{ ...udp, localPort: 0 }], []],
  ['a unix socket has no port', [{ family: 'AF_UNIX', type: 'STREAM', state: 'LISTEN', path: '/run/x.sock' }], []],
])('%s', (_what, sockets, places) => {
  expect(listenersOf(sockets.map((socket) => create(SocketSchema, socket)))).toEqual(places);
});
