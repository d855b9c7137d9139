import { create, toBinary } from '@bufbuild/protobuf';
import { receiveWindowBytes } from '@kcorder/proto/bridge/channel.ts';
import { IngestService, UploadRequestSchema } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { expect, test } from 'vitest';
import { until } from '../../testing/files.ts';
import { openDoor } from '../../testing/open-door.ts';
import { framed, rawCall } from '../../testing/raw-caller.ts';

/** A chunk as agents send them, and as many as an agent holds. */
const chunk = toBinary(
  UploadRequestSchema,
  create(UploadRequestSchema, { message: { case: 'chunk', value: { data: Buffer.alloc(256 << 10) } } }),
);
const message = framed(chunk.length, Buffer.from(chunk));
const chunks = 96;

test('two windows full, which a node may send while the disk stands still and its upload moves, are not too much for one', async () => {
  const disk = Promise.withResolvers<void>();
  const read = { messages: 0 };
  using door = await openDoor([IngestService], async function* (requests: AsyncIterable<unknown>) {
    for await (const _ of requests) {
      read.messages += 1;
      await disk.promise;
    }
    yield {};
  });
  const uploads = await Promise.all(
    [1, 2].map(async () => {
      const session = door.session();
      const { stream, ended } = rawCall(session, '/kcorder.v1.IngestService/Upload');
      for (let i = 0; i < chunks; i += 1) stream.write(message);
      stream.end();
      // A window full, beside what the stream has taken of it before its handler asks.
      await until(() => Number(session.socket.bytesWritten) > receiveWindowBytes + (4 << 20));
      return { session, ended };
    }),
  );
  expect(read.messages).toBe(2);
  disk.resolve();
  const endings = await Promise.all(uploads.map(({ ended }) => ended));
  expect(endings.map(({ status }) => status)).toEqual([0, 0]);
  expect(read.messages).toBe(2 * chunks);
  for (const { session } of uploads) session.destroy();
});
