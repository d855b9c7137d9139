import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Client } from '@grpc/grpc-js';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { AgentService, type AttachResponse } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import {
  IngestService,
  type UploadFinishSchema,
  type UploadResponse,
} from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import type {
  KernelDescriptorSchema,
  PodContainerSchema,
  PreflightReason,
} from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import { until } from './files.ts';

/** What an agent says when it attaches. */
export interface HelloFacts {
  readonly agentVersion: string;
  /** Made anew at every start of the agent. */
  readonly instanceId: string;
  readonly kernel: MessageInitShape<typeof KernelDescriptorSchema>;
  readonly preflight: { readonly refusals: { readonly reason?: PreflightReason; readonly message: string }[] };
  readonly runningCaptureIds: string[];
}

/** What the node says of itself unless told otherwise: 64 MiB of memory and nothing in the way. */
export const ordinaryHello: HelloFacts = {
  agentVersion: '0.1.0',
  instanceId: 'instance-1',
  kernel: {
    release: '6.1.0-test',
    banner: 'Linux version 6.1.0-test',
    buildId: 'ab'.repeat(20),
    architecture: 'x86_64',
    bootId: 'boot-1',
    ramRanges: [{ start: 0x1000n, end: 0x1000n + (64n << 20n) - 1n }],
  },
  preflight: { refusals: [] },
  runningCaptureIds: [],
};

/** What an open says besides the start facts. */
export interface OpenFacts {
  readonly leftOutMemory: readonly { kind: string; bytes: bigint }[];
  readonly containers: MessageInitShape<typeof PodContainerSchema>[];
  readonly acquisitionId: string;
  readonly attempt: number;
  readonly heldFrom: bigint;
  readonly moved: boolean;
}

const start = {
  acquirer: { name: 'avml', version: '0.21.0', sha256: 'cd'.repeat(32) },
  argv: ['avml', 'acquire'],
  bootId: 'boot-1',
};

/** An agent driven by hand, message by message. */
export class HandAgent {
  readonly #client: Client;
  readonly messages: AttachResponse['message'][] = [];
  /** How the attach stream ended; undefined while it is open. */
  detached: Fault | 'ended' | undefined;
  #cancel: () => void = () => undefined;
  #end: () => void = () => undefined;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Attaches and waits for the welcome. Throws the fault that refused it. */
  async attach(changes: Partial<HelloFacts> = {}): Promise<void> {
    const stream = connect(AgentService, this.#client).attach();
    this.detached = undefined;
    this.#cancel = stream.cancel;
    this.#end = stream.end;
    await stream.send({ message: { case: 'hello', value: { ...ordinaryHello, ...changes } } });
    this.answer = (captureId, refusals) =>
      stream.send({
        message: { case: 'answer', value: { captureId, refusals: refusals.map((message) => ({ message })) } },
      });
    this.heartbeat = (refusals, runningCaptureIds = []) =>
      stream.send({
        message: {
          case: 'heartbeat',
          value: { preflight: { refusals: refusals.map((message) => ({ message })) }, runningCaptureIds },
        },
      });
    const before = this.messages.length;
    void this.#listen(stream.responses);
    await until(() => this.messages.length > before || this.detached !== undefined);
    const refused: unknown = this.detached;
    if (refused instanceof Fault) throw refused;
  }

  /** Answers an order. */
  answer: (captureId: string, refusals: string[]) => Promise<void> = async () => undefined;

  /** Says that it lives, what stands in the way of a capture now, and which captures it runs. */
  heartbeat: (refusals: string[], runningCaptureIds?: string[]) => Promise<void> = async () => undefined;

  /** The id of the n-th capture that was ordered, once it is there. */
  async ordered(n = 1): Promise<string> {
    return await until(() => this.orders[n - 1]);
  }

  get orders(): string[] {
    return this.messages.flatMap((message) => (message.case === 'capture' ? [message.value.captureId] : []));
  }

  get cancels(): string[] {
    return this.messages.flatMap((message) => (message.case === 'cancel' ? [message.value.captureId] : []));
  }

  /** Ends the attach stream in good order, for which the door has no patience to lose. */
  async leave(): Promise<void> {
    this.#end();
    await until(() => this.detached !== undefined);
  }

  detach(): void {
    this.#cancel();
  }

  /** Opens an upload and waits for the resume, or for the fault that refused it. */
  async open(captureId: string, changes: Partial<OpenFacts> = {}): Promise<HandUpload> {
    const upload = this.upload();
    const { leftOutMemory = [], containers = [], ...facts } = changes;
    await upload.send({
      case: 'open',
      value: {
        captureId,
        acquisitionId: 'acquisition-1',
        attempt: 1,
        start: { ...start, containers, leftOutMemory: [...leftOutMemory] },
        ...facts,
      },
    });
    await until(() => upload.resume !== undefined || upload.fault !== undefined);
    return upload;
  }

  /** An upload stream on which nothing was said yet. */
  upload(): HandUpload {
    return new HandUpload(connect(IngestService, this.#client).upload());
  }

  async #listen(responses: AsyncIterable<AttachResponse>): Promise<void> {
    try {
      for await (const { message } of responses) this.messages.push(message);
      this.detached ??= 'ended';
    } catch (error) {
      this.detached = Fault.from(error);
    }
  }
}

type UploadStream = ReturnType<ReturnType<typeof connect<typeof IngestService>>['upload']>;

/** One upload stream driven by hand. */
export class HandUpload {
  readonly #stream: UploadStream;
  resume: Extract<UploadResponse['message'], { case: 'resume' }>['value'] | undefined;
  sealed: Extract<UploadResponse['message'], { case: 'sealed' }>['value'] | undefined;
  /** The highest acknowledgement, and how many there were. */
  durable = 0;
  acknowledgements = 0;
  fault: Fault | undefined;

  constructor(stream: UploadStream) {
    this.#stream = stream;
    void this.#listen();
  }

  send(message: NonNullable<Parameters<UploadStream['send']>[0]['message']>): Promise<void> {
    // A stream that was refused takes no more; its status says why.
    return this.#stream.send({ message }).catch(() => undefined);
  }

  chunk(offset: number, data: Uint8Array, checksum = crc32(data)): Promise<void> {
    return this.send({ case: 'chunk', value: { offset: BigInt(offset), data, crc32: checksum } });
  }

  /** Sends a run of bytes in chunks. */
  async chunks(image: Uint8Array, from = 0, to = image.length, chunkBytes = 256 << 10): Promise<void> {
    for (let offset = from; offset < to; offset += chunkBytes) {
      await this.chunk(offset, image.subarray(offset, Math.min(to, offset + chunkBytes)));
    }
  }

  /** Says that AVML has ended well and that `image` was all of it, unless told otherwise. */
  finish(image: Uint8Array, changes: MessageInitShape<typeof UploadFinishSchema> = {}): Promise<void> {
    const sha256 = createHash('sha256').update(image).digest();
    return this.send({ case: 'finish', value: { bytes: BigInt(image.length), sha256, exitCode: 0, ...changes } });
  }

  /** Waits until bytes are acknowledged. */
  async acknowledged(bytes: number): Promise<void> {
    await until(() => this.durable >= bytes || this.fault !== undefined);
    if (this.fault !== undefined) throw this.fault;
  }

  /** Waits for the end: the fault, or undefined after a seal. */
  async ended(): Promise<Fault | undefined> {
    await until(() => this.sealed !== undefined || this.fault !== undefined);
    return this.fault;
  }

  /** Ends the sending side without a finish. */
  halfClose(): void {
    this.#stream.end();
  }

  cancel(): void {
    this.#stream.cancel();
  }

  async #listen(): Promise<void> {
    try {
      for await (const { message } of this.#stream.responses) {
        if (message.case === 'resume') this.resume = message.value;
        else if (message.case === 'sealed') this.sealed = message.value;
        else if (message.case === 'acknowledgement') {
          this.durable = Number(message.value.durableOffset);
          this.acknowledgements += 1;
        }
      }
      if (this.sealed === undefined) this.fault = new Fault('unavailable', 'the stream ended without a seal');
    } catch (error) {
      this.fault = Fault.from(error);
    }
  }
}
