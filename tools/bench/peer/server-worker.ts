import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { create } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { type Chunk, type UploadSealed, UploadSealedSchema } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { requireModernTls } from '../../../agent/tls.ts';
import { readLeaf } from '../leaf.ts';
import { type PeerServerOptions, peerService } from './service.ts';

// A plain grpc-js server that does the same duty: a file, SHA-256, and no answer before the bytes are synced.
requireModernTls();
const { tlsDir, filePath, syncEveryBytes } = JSON.parse(process.argv[2] ?? '') as PeerServerOptions;

async function push(call: ServerDuplexStream<Chunk, UploadSealed>): Promise<void> {
  const hash = createHash('sha256');
  const file = await open(filePath, 'w', 0o600);
  let bytes = 0;
  let synced = 0;
  for await (const chunk of call as AsyncIterable<Chunk>) {
    hash.update(chunk.data);
    await file.write(chunk.data);
    bytes += chunk.data.length;
    if (bytes - synced >= syncEveryBytes) {
      await file.datasync();
      synced = bytes;
      call.write(create(UploadSealedSchema, { bytes: BigInt(bytes) }));
    }
  }
  await file.datasync();
  await file.close();
  call.write(create(UploadSealedSchema, { bytes: BigInt(bytes), sha256: hash.digest() }));
  call.end();
}

const { ca, certificate, key } = readLeaf(tlsDir);
const server = new Server();
server.addService(peerService, {
  push: (call: ServerDuplexStream<Chunk, UploadSealed>) => {
    push(call).catch((error: unknown) => call.emit('error', error));
  },
});
const credentials = ServerCredentials.createSsl(ca, [{ cert_chain: certificate, private_key: key }], true);
server.bindAsync('127.0.0.1:0', credentials, (error, port) => {
  if (error !== null) throw error;
  process.stdout.write(`${JSON.stringify({ port })}\n`);
});
