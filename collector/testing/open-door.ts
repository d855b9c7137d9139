import { mkdtempSync, rmSync } from 'node:fs';
import type { ClientHttp2Session, Settings } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import { Server } from '@grpc/grpc-js';
import { messageLimitBytes } from '@kcorder/proto/bridge/channel.ts';
import { LiveIdentity } from '@kcorder/proto/bridge/live-identity.ts';
import { type CallContext, type Handlers, serve } from '@kcorder/proto/bridge/serve.ts';
import { makeAuthority } from '../../tools/certificates.ts';
import { Door } from '../api/door/door.ts';
import { openTlsPort } from '../api/tls-port.ts';
import { rawSession } from './raw-caller.ts';

/** A door for one node, behind which every method of these services has one handler. */
export async function openDoor(
  services: readonly DescService[],
  handler: (requests: AsyncIterable<unknown>, context: CallContext) => unknown,
  meet: () => Promise<void> = async () => undefined,
) {
  const dir = mkdtempSync(join(tmpdir(), 'kcorder-door-'));
  const authority = makeAuthority(dir);
  const door = new Door({
    meet: async () => {
      await meet();
      return { identity: 'node/n1' };
    },
    supervise: () => () => undefined,
    refused: () => undefined,
    connectionRefused: () => undefined,
  });
  const server = new Server({ interceptors: [door.interceptor], 'grpc.max_receive_message_length': messageLimitBytes });
  const handlers = new Proxy({}, { get: () => handler });
  const edge = { admit: () => undefined, ended: () => undefined };
  for (const service of services) serve(server, service, handlers as Handlers<typeof service>, edge);
  door.serve(server);
  const port = await openTlsPort('127.0.0.1:0', {
    door,
    identity: new LiveIdentity(authority.server()),
    ended: () => undefined,
  });
  return {
    budget: door.budget,
    failed: door.failed.bind(door),
    answersLeft: (): number => door.connections.answersLeft('node/n1'),
    session: (settings: Settings = {}): ClientHttp2Session =>
      rawSession(port.port, authority.ca, authority.agent('n1', 'u1'), settings),
    [Symbol.dispose]: () => {
      port.close();
      server.forceShutdown();
      door.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
