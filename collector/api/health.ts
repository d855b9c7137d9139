import type { Server } from '@grpc/grpc-js';
import { AgentService } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { SymbolsService } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { HealthImplementation } from 'grpc-health-check';

/** Adds the standard health service. The server listens only once everything behind it works, so all is serving. */
export function addHealth(server: Server): void {
  const names = ['', ...[OperatorService, SymbolsService, AgentService, IngestService].map(({ typeName }) => typeName)];
  new HealthImplementation(Object.fromEntries(names.map((name) => [name, 'SERVING']))).addToServer(server);
}
