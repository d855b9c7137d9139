import { mkdtempSync, rmSync } from 'node:fs';
import type { ClientHttp2Session } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { Server } from '@grpc/grpc-js';
import { messageLimitBytes, receiveWindowBytes } from '@kcorder/proto/bridge/channel.ts';
import { LiveIdentity } from '@kcorder/proto/bridge/live-identity.ts';
import { serve } from '@kcorder/proto/bridge/serve.ts';
import { IngestService, UploadRequestSchema } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { makeAuthority } from '../../../tools/certificates.ts';
import { until } from '../../testing/files.ts';
import { framed, rawCall, rawSession } from '../../testing/raw-caller.ts';
import { openTlsPort } from '../tls-port.ts';
import { Door } from './door.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-stalled-'));
const authority = makeAuthority(dir);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A chunk as agents send them, and as many as an agent holds. */
const chunk = toBinary(
  UploadRequestSchema,
  create(UploadRequestSchema, { message: { case: 'chunk', value: { data: Buffer.alloc(256 << 10) } } }),
);
const message = framed(chunk.length, Buffer.from(chunk));
const chunks = 96;

/** A door for one node, behind which uploads are read when the disk does not stand still. */
async function rig() {
  const disk = Promise.withResolvers<void>();
  const read = { messages: 0 };
  const door = new Door({
    meet: async () => ({ identity: 'node/n1' }),
    supervise: () => () => undefined,
    refused: () => undefined,
    connectionRefused: () => undefined,
  });
  const server = new Server({ interceptors: [door.interceptor], 'grpc.max_receive_message_length': messageLimitBytes });
  async function* upload(requests: AsyncIterable<unknown>) {
    for await (const _ of requests) {
      read.messages += 1;
      await disk.promise;
    }
    yield {};
  }
  const edge = { admit: () => undefined, ended: () => undefined };
  serve(server, IngestService, { upload, sendKernelTypes: upload }, edge);
  door.serve(server);
  const identity = new LiveIdentity(authority.server());
  const port = await openTlsPort('127.0.0.1:0', { door, identity, ended: () => undefined });
  return {
    door,
    disk,
    read,
    session: (): ClientHttp2Session => rawSession(port.port, authority.ca, authority.agent('n1', 'u1')),
    [Symbol.dispose]: () => {
      port.close();
      server.forceShutdown();
      door.close();
    },
  };
}

test('two windows full, which a node may send while the disk stands still and its upload moves, are not too much for one', async () => {
  using all = await rig();
  const uploads = await Promise.all(
    [1, 2].map(async () => {
      const session = all.session();
      const { stream, ended } = rawCall(session, '/kcorder.v1.IngestService/Upload');
      for (let i = 0; i < chunks; i += 1) stream.write(message);
      stream.end();
      // A window full, beside what the stream has taken of it before its handler asks.
      await until(() => Number(session.socket.bytesWritten) > receiveWindowBytes + (4 << 20));
      return { session, ended };
    }),
  );
  expect(all.read.messages).toBe(2);
  all.disk.resolve();
  const endings = await Promise.all(uploads.map(({ ended }) => ended));
  expect(endings.map(({ status }) => status)).toEqual([0, 0]);
  expect(all.read.messages).toBe(2 * chunks);
  for (const { session } of uploads) session.destroy();
});
