import { type DescFile, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { file_kcorder_v1_agent } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import { file_kcorder_v1_evidence } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { file_kcorder_v1_ingest } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { file_kcorder_v1_operator } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { file_kcorder_v1_schedule } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';

type Package = ConstructorParameters<typeof ReflectionService>[0];

/**
 * Adds standard server reflection, so that grpcurl needs no .proto files. The files are handed over as they were compiled: a loader
 * between would merge those of one package into a file whose imports no longer resolve.
 */
export function addReflection(server: Server): void {
  const files = new Map<string, DescFile>();
  const visit = (file: DescFile): void => {
    if (files.has(file.name)) return;
    for (const dependency of file.dependencies) visit(dependency);
    files.set(file.name, file);
  };
  for (const file of [
    file_kcorder_v1_operator,
    file_kcorder_v1_agent,
    file_kcorder_v1_ingest,
    file_kcorder_v1_evidence,
    file_kcorder_v1_schedule,
  ])
    visit(file);
  const fileDescriptorProtos = [...files.values()].map(({ proto }) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, proto)),
  );
  const definition: Package = {
    files: { format: 'Protocol Buffer 3 DescriptorProto', type: {}, fileDescriptorProtos },
  };
  new ReflectionService(definition).addToServer(server);
}
