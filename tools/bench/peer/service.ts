import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import {
  type Chunk,
  ChunkSchema,
  type UploadSealed,
  UploadSealedSchema,
} from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';

/** The peer's one call: chunks go up, after each fsync the server answers with what is on its disk. */
export interface PeerService extends ServiceDefinition {
  readonly push: MethodDefinition<Chunk, UploadSealed>;
}

/** As a generator of stubs would write it. */
export const peerService: PeerService = {
  push: {
    path: '/kcorder.bench.Peer/Push',
    requestStream: true,
    responseStream: true,
    requestSerialize: (message) => Buffer.from(toBinary(ChunkSchema, create(ChunkSchema, message))),
    requestDeserialize: (bytes) => fromBinary(ChunkSchema, bytes),
    responseSerialize: (message) => Buffer.from(toBinary(UploadSealedSchema, message)),
    responseDeserialize: (bytes) => fromBinary(UploadSealedSchema, bytes),
  },
};

/** What the peer's client is told. */
export interface PeerClientOptions {
  /** host:port. */
  readonly server: string;
  readonly tlsDir: string;
  readonly imagePath: string;
  readonly fifoPath: string;
  readonly chunkBytes: number;
}

/** What the peer's server is told. */
export interface PeerServerOptions {
  readonly tlsDir: string;
  readonly filePath: string;
  /** An fsync and an answer after each of so many bytes. */
  readonly syncEveryBytes: number;
}
