import { Server, ServerCredentials, type sendUnaryData, status } from '@grpc/grpc-js';
import { serviceDefinition } from '@kcorder/proto/bridge/definition.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { requireModernTls } from '../../../agent/tls.ts';
import { addHealth } from '../../../collector/api/health.ts';
import { addReflection } from '../../../collector/api/reflection.ts';
import { readLeaf } from '../leaf.ts';

/** What the null server is told. */
export interface NullOptions {
  readonly tlsDir: string;
}

// A plain grpc-js server that does nothing: who calls is refused as a handler refuses, and one call answers.
requireModernTls();
const { tlsDir } = JSON.parse(process.argv[2] ?? '') as NullOptions;
const { ca, certificate, key } = readLeaf(tlsDir);
const server = new Server();
const refuse = (_call: unknown, answer: sendUnaryData<unknown>): void =>
  answer({ code: status.UNAUTHENTICATED, details: 'nobody is named' });
server.addService(serviceDefinition(OperatorService), {
  getVersion: (_call: unknown, answer: sendUnaryData<unknown>) =>
    answer(null, { $typeName: 'kcorder.v1.GetVersionResponse' }),
  listNodes: refuse,
  createCapture: refuse,
});
server.addService(serviceDefinition(EnrolmentService), { enrol: refuse });
addHealth(server);
addReflection(server);
const pair = [{ cert_chain: certificate, private_key: key }];
const ports: number[] = [];
for (const isMutual of [true, false]) {
  server.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(ca, pair, isMutual), (error, port) => {
    if (error !== null) throw error;
    ports[isMutual ? 0 : 1] = port;
    if (ports[0] !== undefined && ports[1] !== undefined)
      process.stdout.write(`${JSON.stringify({ port: ports[0], apiPort: ports[1] })}\n`);
  });
}
