import { AgentService } from './gen/kcorder/v1/agent_pb.ts';
import { EnrolmentService } from './gen/kcorder/v1/enrolment_pb.ts';
import { EvidenceService } from './gen/kcorder/v1/evidence_pb.ts';
import { IngestService } from './gen/kcorder/v1/ingest_pb.ts';
import { OperatorService } from './gen/kcorder/v1/operator_pb.ts';
import { ResultsService } from './gen/kcorder/v1/results_pb.ts';
import { ScheduleService } from './gen/kcorder/v1/schedule_pb.ts';
import { SymbolsService } from './gen/kcorder/v1/symbols_pb.ts';

/** Every service of the contract. */
export const services = [
  AgentService,
  IngestService,
  EnrolmentService,
  EvidenceService,
  OperatorService,
  ResultsService,
  ScheduleService,
  SymbolsService,
] as const;
