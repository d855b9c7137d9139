import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { serviceDefinition } from '@kcorder/proto/bridge/definition.ts';
import {
  AgentService,
  type AttachRequest,
  type AttachResponse,
  AttachResponseSchema,
} from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import type { Node } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import { NodeSchema } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import {
  type CancelCaptureRequest,
  type CancelCaptureResponse,
  CancelCaptureResponseSchema,
  type CreateCaptureRequest,
  type CreateCaptureResponse,
  CreateCaptureResponseSchema,
  type ListNodesRequest,
  type ListNodesResponse,
  ListNodesResponseSchema,
  OperatorService,
} from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { requireModernTls } from '../../../agent/tls.ts';
import { readLeaf } from '../leaf.ts';

/** What the peer is told. */
export interface PeerOptions {
  readonly tlsDir: string;
  /** PEM of whoever vouches for agents and people. */
  readonly caPath: string;
}

type Attached = ServerDuplexStream<AttachRequest, AttachResponse>;

// A plain grpc-js server that holds the same streams over the same TLS: no journal, no disk, no rights, every option at its default.
requireModernTls();
const heartbeatMs = 5_000;
const { tlsDir, caPath } = JSON.parse(process.argv[2] ?? '') as PeerOptions;
const streams = new Map<string, Attached>();
const nodes = new Map<string, Node>();
const nodeOfCapture = new Map<string, string>();

function write(call: Attached | undefined, message: MessageInitShape<typeof AttachResponseSchema>['message']): void {
  call?.write(create(AttachResponseSchema, message === undefined ? {} : { message }));
}

function attach(call: Attached): void {
  const names = call.getAuthContext().sslPeerCertificate?.subjectaltname ?? '';
  const [, name = '', uid = ''] = /^URI:spiffe:\/\/kcorder\/node\/([^/]+)\/(.+)$/.exec(names) ?? [];
  call.on('data', ({ message }: AttachRequest) => {
    if (message.case !== 'hello') return;
    const { agentVersion, kernel } = message.value;
    nodes.set(name, create(NodeSchema, { name, uid, online: true, agentVersion, ...(kernel && { kernel }) }));
    streams.set(name, call);
    write(call, { case: 'welcome', value: { heartbeatInterval: durationFromMs(heartbeatMs) } });
  });
  call.on('error', () => undefined);
  call.on('end', () => call.end());
}

const server = new Server();
server.addService(serviceDefinition(AgentService), { attach });
server.addService(serviceDefinition(OperatorService), {
  listNodes: (_: ServerUnaryCall<ListNodesRequest, ListNodesResponse>, answer: sendUnaryData<ListNodesResponse>) =>
    answer(null, create(ListNodesResponseSchema, { nodes: [...nodes.values()] })),
  createCapture: (
    { request: { nodeName } }: ServerUnaryCall<CreateCaptureRequest, CreateCaptureResponse>,
    answer: sendUnaryData<CreateCaptureResponse>,
  ) => {
    const captureId = randomUUID();
    nodeOfCapture.set(captureId, nodeName);
    write(streams.get(nodeName), { case: 'capture', value: { captureId } });
    answer(null, create(CreateCaptureResponseSchema, { capture: { id: captureId, nodeName } }));
  },
  cancelCapture: (
    { request: { captureId } }: ServerUnaryCall<CancelCaptureRequest, CancelCaptureResponse>,
    answer: sendUnaryData<CancelCaptureResponse>,
  ) => {
    write(streams.get(nodeOfCapture.get(captureId) ?? ''), { case: 'cancel', value: { captureId } });
    answer(null, create(CancelCaptureResponseSchema, {}));
  },
});
const { certificate, key } = readLeaf(tlsDir);
const pair = { cert_chain: certificate, private_key: key };
server.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(readFileSync(caPath), [pair], true), (error, port) => {
  if (error !== null) throw error;
  process.stdout.write(`${JSON.stringify({ port })}\n`);
});
