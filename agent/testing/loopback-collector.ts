import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { type TlsIdentity, transportOptions } from '@kcorder/proto/bridge/channel.ts';
import { type CallContext, serve } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import {
  AgentService,
  type AttachRequest,
  type AttachResponse,
  type Hello,
} from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import {
  EnrolmentService,
  type EnrolRequest,
  type EnrolResponseSchema,
} from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import {
  IngestService,
  type SendKernelTypesRequest,
  type UploadFinish,
  type UploadOpen,
  type UploadRequest,
} from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import type { Preflight, PreflightReason } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';

type AttachMessage = AttachResponse['message'];
type Answer = Extract<AttachRequest['message'], { case: 'answer' }>['value'];

/** Where a test bends the collector's behaviour; each may throw a fault, or wait. */
export interface Bends {
  /** Before a stream is answered; the number returned replaces the durable offset. */
  open?: (open: UploadOpen) => number | undefined | Promise<number | undefined>;
  /** Before a chunk becomes durable. */
  chunk?: (offsetBytes: number, data: Uint8Array) => void | Promise<void>;
  /** After a chunk became durable, instead of the one acknowledgement of it. */
  acknowledge?: (durableBytes: number) => number[];
  /** Before the seal. */
  finish?: (finish: UploadFinish) => void | Promise<void>;
}

/** A collector in memory over mutual TLS on the loopback: real transport, no disk. */
export class LoopbackCollector {
  readonly #leaf: TlsIdentity;
  #server: Server | undefined;
  #port = 0;
  #push: ((message: AttachMessage) => void) | undefined;
  bends: Bends = {};
  heartbeatMs = 200;
  /** No new call on a connection after so long; those that run go on. */
  connectionAgeMs: number | undefined;
  /** What is sent in the welcome's place. */
  welcome: AttachMessage | undefined;
  /** What is durable. */
  image = Buffer.alloc(0);
  readonly opens: UploadOpen[] = [];
  readonly hellos: Hello[] = [];
  /** Names in the certificate of each attached agent. */
  readonly peers: string[] = [];
  readonly answers: Answer[] = [];
  heartbeats = 0;
  #preflight: Preflight | undefined;
  finish: UploadFinish | undefined;
  /** What came by SendKernelTypes. */
  readonly types: SendKernelTypesRequest['message'][] = [];
  sealed = false;
  /** Renews a certificate for whoever has the names; nobody's unless told otherwise. */
  renew: (request: EnrolRequest, context: CallContext) => MessageInitShape<typeof EnrolResponseSchema> = () => {
    throw new Fault('unauthenticated', 'no certificate is renewed here');
  };

  constructor(leaf: TlsIdentity) {
    this.#leaf = leaf;
  }

  get address(): string {
    return `localhost:${this.#port}`;
  }

  /** Listens, after a stop on the same port again; with its own certificate unless told otherwise. */
  async start({ ca, certificate, key }: TlsIdentity = this.#leaf): Promise<void> {
    const age = this.connectionAgeMs === undefined ? {} : { 'grpc.max_connection_age_ms': this.connectionAgeMs };
    const server = new Server({ ...transportOptions, ...age, 'grpc.max_receive_message_length': 2 << 20 });
    const edge = { admit: () => undefined, ended: () => undefined };
    serve(
      server,
      AgentService,
      {
        attach: (requests, { signal, peerNames }) => {
          this.peers.push(peerNames);
          return this.#attach(requests, signal);
        },
      },
      edge,
    );
    const ingest = {
      upload: (requests: AsyncIterable<UploadRequest>) => this.#upload(requests),
      sendKernelTypes: (requests: AsyncIterable<SendKernelTypesRequest>) => this.#takeTypes(requests),
    };
    serve(server, IngestService, ingest, edge);
    const enrolment = {
      enrol: async (request: EnrolRequest, context: CallContext) => this.renew(request, context),
      createJoinToken: () => Promise.reject(new Fault('permission_denied', 'not here')),
    };
    serve(server, EnrolmentService, enrolment, edge);
    const credentials = ServerCredentials.createSsl(ca, [{ cert_chain: certificate, private_key: key }], true);
    this.#port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`localhost:${this.#port}`, credentials, (error, port) =>
        error ? reject(error) : resolve(port),
      );
    });
    this.#server = server;
  }

  /** Drops every connection without a word, as a killed process does. */
  stop(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
  }

  /** What the last heartbeat said against a capture. */
  reasons(): PreflightReason[] {
    return this.#preflight?.refusals.map(({ reason }) => reason) ?? [];
  }

  /** Sends to the attached agent. */
  send(message: AttachMessage): void {
    if (this.#push === undefined) throw new Error('no agent is attached');
    this.#push(message);
  }

  /** Orders a capture, valid for a minute unless told otherwise. */
  order(captureId: string, validForSeconds = 60n): void {
    const value = { $typeName: 'kcorder.v1.CaptureOrder' as const, captureId };
    const validFor = { $typeName: 'google.protobuf.Duration' as const, seconds: validForSeconds, nanos: 0 };
    this.send({ case: 'capture', value: { ...value, validFor } });
  }

  async *#attach(requests: AsyncIterable<AttachRequest>, signal: AbortSignal) {
    const queue: AttachMessage[] = [];
    let wake = Promise.withResolvers<void>();
    this.#push = (message) => {
      queue.push(message);
      wake.resolve();
    };
    signal.addEventListener('abort', () => wake.resolve());
    void this.#listen(requests).catch(() => undefined);
    const heartbeatInterval = { seconds: 0n, nanos: this.heartbeatMs * 1_000_000 };
    const welcome = { case: 'welcome' as const, value: { collectorVersion: '0.1.0', heartbeatInterval } };
    yield { message: this.welcome ?? welcome };
    while (!signal.aborted) {
      const message = queue.shift();
      if (message !== undefined) yield { message };
      else {
        wake = Promise.withResolvers();
        await wake.promise;
      }
    }
  }

  async #listen(requests: AsyncIterable<AttachRequest>): Promise<void> {
    for await (const { message } of requests) {
      if (message.case === 'hello') this.hellos.push(message.value);
      if (message.case === 'heartbeat') {
        this.heartbeats += 1;
        this.#preflight = message.value.preflight;
      }
      if (message.case === 'answer') this.answers.push(message.value);
    }
  }

  async *#takeTypes(requests: AsyncIterable<SendKernelTypesRequest>) {
    for await (const { message } of requests) this.types.push(message);
    yield {};
  }

  #checkNewest(epoch: number): void {
    if (this.opens.length > epoch) throw new Fault('stream_fenced', 'a later stream has taken over');
  }

  async *#upload(requests: AsyncIterable<UploadRequest>) {
    const epoch = this.opens.length + 1;
    for await (const { message } of requests) {
      this.#checkNewest(epoch);
      if (message.case === 'open') {
        this.opens.push(message.value);
        const bent = await this.bends.open?.(message.value);
        const durableOffset = BigInt(bent ?? this.image.length);
        yield { message: { case: 'resume' as const, value: { epoch, durableOffset } } };
      } else if (message.case === 'chunk') {
        const { offset, data } = message.value;
        if (Number(offset) !== this.image.length) {
          throw new Fault('offset_gap', `expected offset ${this.image.length}, not ${offset}`);
        }
        if (crc32(data) !== message.value.crc32)
          throw new Fault('checksum_mismatch', `the chunk at ${offset} is damaged`);
        await this.bends.chunk?.(Number(offset), data);
        this.#checkNewest(epoch);
        this.image = Buffer.concat([this.image, data]);
        for (const durable of this.bends.acknowledge?.(this.image.length) ?? [this.image.length]) {
          yield { message: { case: 'acknowledgement' as const, value: { durableOffset: BigInt(durable) } } };
        }
      } else if (message.case === 'finish') {
        await this.bends.finish?.(message.value);
        this.finish = message.value;
        this.sealed = true;
        const value = { bytes: BigInt(this.image.length), sha256: createHash('sha256').update(this.image).digest() };
        yield { message: { case: 'sealed' as const, value } };
        return;
      }
    }
  }
}
