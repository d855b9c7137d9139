import type { Server } from '@grpc/grpc-js';
import { type Edge, serve } from '@kcorder/proto/bridge/serve.ts';
import { AgentService } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { EvidenceService } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { ResultsService } from '@kcorder/proto/gen/kcorder/v1/results_pb.ts';
import { ScheduleService } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { SymbolsService } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import type { AgentHandlers, IngestHandlers } from './agent-handlers.ts';
import type { EnrolmentHandlers } from './enrolment-handlers.ts';
import type { EvidenceHandlers } from './evidence-handlers.ts';
import { addHealth } from './health.ts';
import type { OperatorHandlers } from './operator-handlers.ts';
import { addReflection } from './reflection.ts';
import type { ResultsHandlers } from './results-handlers.ts';
import type { ScheduleHandlers } from './schedule-handlers.ts';
import type { SymbolsHandlers } from './symbols-handlers.ts';

/** The handlers of every service. */
export interface Services {
  readonly operator: OperatorHandlers;
  readonly evidence: EvidenceHandlers;
  readonly results: ResultsHandlers;
  readonly schedule: ScheduleHandlers;
  readonly symbols: SymbolsHandlers;
  readonly enrolment: EnrolmentHandlers;
  readonly agent: AgentHandlers;
  readonly ingest: IngestHandlers;
}

/** Has a server serve all of them, and the standard services. */
export function serveAll(server: Server, services: Services, edge: Edge): void {
  serve(server, OperatorService, services.operator, edge);
  serve(server, EvidenceService, services.evidence, edge);
  serve(server, ResultsService, services.results, edge);
  serve(server, ScheduleService, services.schedule, edge);
  serve(server, SymbolsService, services.symbols, edge);
  serve(server, EnrolmentService, services.enrolment, edge);
  serve(server, AgentService, services.agent, edge);
  serve(server, IngestService, services.ingest, edge);
  addHealth(server);
  addReflection(server);
}
