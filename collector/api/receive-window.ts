import diagnostics from 'node:diagnostics_channel';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { receiveWindowBytes } from '@kcorder/proto/bridge/channel.ts';
import { Fault } from '@kcorder/proto/fault.ts';

const channelName = 'http2.server.stream.created';
const widened = new WeakSet<ServerHttp2Session>();

/**
 * Lets every http2 server session of this process receive 8 MiB per round trip. grpc-js leaves its servers at 64 KiB, which is
 * 16 MB/s at 2 ms round trip, and has no option for it; the diagnostics channel is the public way to its sessions.
 */
export function widenReceiveWindows(): void {
  diagnostics.subscribe(channelName, (message) => {
    const { stream } = message as { stream: ServerHttp2Stream };
    const session = stream.session;
    if (session === undefined || widened.has(session as ServerHttp2Session)) return;
    widened.add(session as ServerHttp2Session);
    session.setLocalWindowSize(receiveWindowBytes);
    session.settings({ initialWindowSize: receiveWindowBytes });
    if (session.state.localWindowSize !== receiveWindowBytes) {
      session.destroy(new Fault('internal', 'the receive window of a session could not be widened'));
    }
  });
  if (!diagnostics.hasSubscribers(channelName))
    throw new Fault('internal', `this Node has no diagnostics channel ${channelName}`);
}
