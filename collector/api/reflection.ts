import { create, type DescFile, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { Server } from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { file_kcorder_v1_agent } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import { file_kcorder_v1_ingest } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { file_kcorder_v1_operator } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';

/** Adds standard server reflection, so that grpcurl needs no .proto files. */
export function addReflection(server: Server): void {
  const files = new Map<string, DescFile>();
  const visit = (file: DescFile): void => {
    if (files.has(file.name)) return;
    for (const dependency of file.dependencies) visit(dependency);
    files.set(file.name, file);
  };
  for (const file of [file_kcorder_v1_operator, file_kcorder_v1_agent, file_kcorder_v1_ingest]) visit(file);
  const set = create(FileDescriptorSetSchema, { file: [...files.values()].map(({ proto }) => proto) });
  const definition = loadFileDescriptorSetFromBuffer(Buffer.from(toBinary(FileDescriptorSetSchema, set)));
  new ReflectionService(definition).addToServer(server);
}
