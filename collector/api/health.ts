import {
  type Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { AgentService } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { SymbolsService } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { service } from 'grpc-health-check';

interface Asked {
  readonly service: string;
}

interface Answer {
  readonly status: 'SERVING' | 'SERVICE_UNKNOWN';
}

const serving: Answer = { status: 'SERVING' };

/**
 * Adds the standard health service. The server listens only once everything behind it works, so all is serving, and nothing is kept of whoever
 * watches: the implementation of the package keeps each name that it was asked for.
 */
export function addHealth(server: Server): void {
  const names = new Set(['', ...[OperatorService, SymbolsService, AgentService, IngestService].map((s) => s.typeName)]);
  server.addService(service, {
    check: ({ request }: ServerUnaryCall<Asked, Answer>, answer: sendUnaryData<Answer>) => {
      if (names.has(request.service)) answer(null, serving);
      else answer({ code: status.NOT_FOUND, details: 'there is no such service' });
    },
    list: (_call: unknown, answer: sendUnaryData<{ statuses: Record<string, Answer> }>) =>
      answer(null, { statuses: Object.fromEntries([...names].map((name) => [name, serving])) }),
    watch: (call: ServerWritableStream<Asked, Answer>) => {
      call.write(names.has(call.request.service) ? serving : { status: 'SERVICE_UNKNOWN' });
    },
  });
}
