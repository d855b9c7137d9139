import { randomUUID } from 'node:crypto';
import { durationMs, timestampNow } from '@bufbuild/protobuf/wkt';
import { openChannel, type TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { AgentService, type AttachResponse } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import { Backoff, reconnectBackoff } from '../../../agent/backoff.ts';
import { enrolOnce } from '../../../agent/identity/enrol.ts';
import { reach } from '../../../agent/reach.ts';
import { kernelOf } from './kernel.ts';
import { uploadTiny } from './tiny-upload.ts';

type Stream = ReturnType<ReturnType<typeof connect<typeof AgentService>>['attach']>;

const acquirer = { name: 'avml', version: '0.21.0', sha256: 'cd'.repeat(32) };

/** An agent as far as the collector can see it: it enrols, has a connection of its own, attaches, sends heartbeats, takes orders. No memory stands behind it, but a page if it is to upload. */
export class SimulatedAgent {
  readonly name: string;
  readonly #number: number;
  readonly #ordered: (captureId: string) => void;
  readonly #uploads: boolean;
  readonly #running = new Set<string>();
  #identity: TlsIdentity | undefined;
  #ending = new AbortController();
  #stands = false;
  /** Streams that ended though nobody had asked for it. */
  losses = 0;
  /** Tries to attach that ended before the welcome, and why the latest did. */
  failures = 0;
  lastFailure = '';

  constructor(name: string, number: number, ordered: (captureId: string) => void, uploads = false) {
    this.name = name;
    this.#number = number;
    this.#ordered = ordered;
    this.#uploads = uploads;
  }

  /** Whether it is attached at this moment. */
  get stands(): boolean {
    return this.#stands;
  }

  /** Gets a certificate for a join token, and waits as long as the collector asks it to. */
  async enrol(apiAddress: string, joinToken: string, ca: Buffer): Promise<void> {
    const { signal } = this.#ending;
    const backoff = new Backoff(reconnectBackoff);
    const server = { address: apiAddress, ca, serverName: undefined };
    while (this.#identity === undefined) {
      try {
        const credential = { case: 'joinToken' as const, value: joinToken };
        const { certificate, key, trustBundle } = await enrolOnce(server, credential, signal);
        this.#identity = { ca: Buffer.from(trustBundle), certificate, key };
      } catch (error) {
        if (!(error instanceof Fault) || error.code !== 'resource_exhausted') throw error;
        await backoff.wait(signal);
      }
    }
  }

  /** Attaches and stays attached until `detach`; resolves with the first welcome. */
  async attach(address: string): Promise<void> {
    if (this.#identity === undefined) throw new Error(`${this.name} has not enrolled`);
    this.#ending = new AbortController();
    const welcomed = Promise.withResolvers<void>();
    // The credentials are this agent's alone, and so is its connection: grpc-js shares one only where they are equal.
    const channel = openChannel(address, this.#identity);
    void this.#stay(channel, welcomed.resolve).finally(() => channel.close());
    await welcomed.promise;
  }

  detach(): void {
    this.#ending.abort(new Fault('canceled', 'the bench is over'));
  }

  async #stay(channel: ReturnType<typeof openChannel>, welcomed: () => void): Promise<void> {
    const { signal } = this.#ending;
    const backoff = new Backoff(reconnectBackoff);
    const instanceId = randomUUID();
    while (!signal.aborted) {
      try {
        await reach(channel, signal);
        const upload = (captureId: string) => uploadTiny(channel, captureId, signal);
        await this.#attachOnce(connect(AgentService, channel).attach({ signal }), instanceId, upload, () => {
          this.#stands = true;
          backoff.reset();
          welcomed();
        });
      } catch (error) {
        this.lastFailure = Fault.from(error).message;
      }
      if (signal.aborted) break;
      if (this.#stands) this.losses += 1;
      else this.failures += 1;
      this.#stands = false;
      await backoff.wait(signal).catch(() => undefined);
    }
    this.#stands = false;
  }

  async #attachOnce(
    stream: Stream,
    instanceId: string,
    upload: (captureId: string) => Promise<void>,
    welcomed: () => void,
  ): Promise<void> {
    const send = (message: Parameters<Stream['send']>[0]): void => void stream.send(message).catch(() => undefined);
    let heartbeat: NodeJS.Timeout | undefined;
    try {
      send({
        message: {
          case: 'hello',
          value: {
            agentVersion: '0.1.0',
            instanceId,
            kernel: kernelOf(this.#number),
            preflight: {},
            acquirer,
            runningCaptureIds: [...this.#running],
            agentClock: timestampNow(),
          },
        },
      });
      for await (const response of stream.responses) {
        const everyMs = heartbeatMs(response);
        if (everyMs !== undefined) {
          heartbeat = setInterval(() => {
            const value = { agentClock: timestampNow(), preflight: {}, runningCaptureIds: [...this.#running] };
            send({ message: { case: 'heartbeat', value } });
          }, everyMs);
          welcomed();
        }
        this.#take(response, send, upload);
      }
    } finally {
      clearInterval(heartbeat);
      stream.cancel();
    }
  }

  #take(
    { message }: AttachResponse,
    send: (message: Parameters<Stream['send']>[0]) => void,
    upload: (captureId: string) => Promise<void>,
  ): void {
    if (message.case === 'capture') {
      const { captureId } = message.value;
      this.#ordered(captureId);
      this.#running.add(captureId);
      send({ message: { case: 'answer', value: { captureId, refusals: [] } } });
      // One that fails shows as a capture that did not end well.
      if (this.#uploads)
        void upload(captureId)
          .catch(() => undefined)
          .finally(() => this.#running.delete(captureId));
    } else if (message.case === 'cancel') {
      this.#running.delete(message.value.captureId);
    }
  }
}

function heartbeatMs({ message }: AttachResponse): number | undefined {
  if (message.case !== 'welcome' || message.value.heartbeatInterval === undefined) return undefined;
  return durationMs(message.value.heartbeatInterval);
}
