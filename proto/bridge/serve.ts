import type { EventEmitter } from 'node:events';
import {
  create,
  type DescMethod,
  type DescService,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import type {
  Metadata,
  Server,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { Fault } from '../fault.ts';
import { type AnyMessage, RefusedMessage, serviceDefinition } from './definition.ts';
import { pump, streamed } from './stream.ts';

/** What a handler knows of its call besides the request. */
export interface CallContext {
  readonly method: DescMethod;
  /** Fires when the caller is gone, its deadline has passed, or it may not go on. */
  readonly signal: AbortSignal;
  readonly metadata: Metadata;
  /** Subject alternative names of the verified peer certificate, as Node prints them; empty without a certificate. */
  readonly peerNames: string;
  /** The same certificate, DER. Unset without one. */
  readonly peerCertificate?: Uint8Array;
  /** Address of the caller, for the records. */
  readonly peer: string;
}

type HandlerOf<M extends DescMethod> = M['methodKind'] extends 'unary'
  ? (request: MessageShape<M['input']>, context: CallContext) => Promise<MessageInitShape<M['output']>>
  : M['methodKind'] extends 'server_streaming'
    ? (request: MessageShape<M['input']>, context: CallContext) => AsyncIterable<MessageInitShape<M['output']>>
    : M['methodKind'] extends 'bidi_streaming'
      ? (
          requests: AsyncIterable<MessageShape<M['input']>>,
          context: CallContext,
        ) => AsyncIterable<MessageInitShape<M['output']>>
      : never;

/** The handlers of a service, their types derived from its descriptor. Streams are async iterables in both directions. */
export type Handlers<S extends DescService> = { [K in keyof S['method']]: HandlerOf<S['method'][K]> };

/** What surrounds every call of a server. */
export interface Edge {
  /** Throws a fault when this call must not reach its handler. The request is unset where the caller streams. */
  admit(context: CallContext, request: AnyMessage | undefined): void | Promise<void>;
  /**
   * Watches a call that was admitted, as long as its handler works: `end` ends a stream with a fault, and a call with one answer where its handler
   * waits for its signal. Returns the function that stops the watching.
   */
  supervise?(context: CallContext, request: AnyMessage | undefined, end: (fault: Fault) => void): () => void;
  /** Sees every call's ending: undefined when it went well. */
  ended(context: CallContext, fault: Fault | undefined): void;
}

type AnyCall =
  | ServerUnaryCall<AnyMessage, AnyMessage>
  | ServerWritableStream<AnyMessage, AnyMessage>
  | ServerDuplexStream<AnyMessage, AnyMessage>;
type AnyHandler = (input: unknown, context: CallContext) => unknown;

/** Adds a service to a grpc-js server. Streaming from the client alone is not part of the contract and is refused here. */
export function serve<S extends DescService>(server: Server, service: S, handlers: Handlers<S>, edge: Edge): void {
  const implementation: UntypedServiceImplementation = {};
  for (const method of service.methods) {
    const handler = (handlers as Record<string, AnyHandler>)[method.localName];
    if (handler === undefined) throw new Fault('internal', `${service.typeName}.${method.name} has no handler`);
    implementation[method.localName] = implement(method, handler, edge);
  }
  server.addService(serviceDefinition(service), implementation);
}

function implement(method: DescMethod, handler: AnyHandler, edge: Edge) {
  const build = (message: unknown): AnyMessage =>
    create(method.output, message as MessageInitShape<typeof method.output>);
  switch (method.methodKind) {
    case 'unary':
      return (call: ServerUnaryCall<AnyMessage, AnyMessage>, callback: sendUnaryData<AnyMessage>): void => {
        const { context, end } = contextOf(method, call);
        run(edge, context, call.request, () =>
          supervised(edge, context, call.request, end, async () => build(await handler(call.request, context))),
        ).then(
          (message) => callback(null, message),
          (fault: Fault) => callback(fault.toStatus()),
        );
      };
    case 'server_streaming':
      return (call: ServerWritableStream<AnyMessage, AnyMessage>): void => {
        const { context, end } = contextOf(method, call);
        finish(
          call,
          run(edge, context, call.request, () =>
            supervised(edge, context, call.request, end, () =>
              pump(mapped(handler(call.request, context), build), call, context.signal),
            ),
          ),
        );
      };
    case 'bidi_streaming':
      return (call: ServerDuplexStream<AnyMessage, AnyMessage>): void => {
        const { context, end } = contextOf(method, call);
        finish(
          call,
          run(edge, context, undefined, () =>
            supervised(edge, context, undefined, end, () =>
              pump(mapped(handler(streamed(call), context), build), call, context.signal),
            ),
          ),
        );
      };
    case 'client_streaming':
      throw new Fault('internal', `${method.name}: a stream from the client alone has no place in the contract`);
  }
}

async function* mapped(messages: unknown, build: (message: unknown) => AnyMessage): AsyncIterable<AnyMessage> {
  for await (const message of messages as AsyncIterable<unknown>) yield build(message);
}

async function run<T>(
  edge: Edge,
  context: CallContext,
  request: AnyMessage | undefined,
  body: () => Promise<T>,
): Promise<T> {
  try {
    if (request instanceof RefusedMessage) throw request.fault;
    await edge.admit(context, request);
    const result = await body();
    edge.ended(context, undefined);
    return result;
  } catch (error) {
    const fault = Fault.from(error);
    edge.ended(context, fault);
    throw fault;
  }
}

async function supervised<T>(
  edge: Edge,
  context: CallContext,
  request: AnyMessage | undefined,
  end: (fault: Fault) => void,
  body: () => Promise<T>,
): Promise<T> {
  const stop = edge.supervise?.(context, request, end);
  try {
    return await body();
  } finally {
    stop?.();
  }
}

function finish(
  call: ServerWritableStream<AnyMessage, AnyMessage> | ServerDuplexStream<AnyMessage, AnyMessage>,
  done: Promise<void>,
): void {
  done.then(
    () => call.end(),
    (fault: Fault) => call.emit('error', fault.toStatus()),
  );
}

function contextOf(method: DescMethod, call: AnyCall): { context: CallContext; end: (fault: Fault) => void } {
  const controller = new AbortController();
  const events: EventEmitter = call;
  events.on('cancelled', () => controller.abort(new Fault('canceled', 'the caller went away')));
  const certificate = call.getAuthContext().sslPeerCertificate;
  const context = {
    method,
    signal: controller.signal,
    metadata: call.metadata,
    peerNames: certificate?.subjectaltname ?? '',
    ...(certificate && { peerCertificate: certificate.raw }),
    peer: call.getPeer(),
  };
  return { context, end: (fault) => controller.abort(fault) };
}
