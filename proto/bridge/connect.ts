import {
  create,
  type DescMethod,
  type DescService,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { type Client, type ClientDuplexStream, Metadata } from '@grpc/grpc-js';
import { Fault } from '../fault.ts';
import { type AnyMessage, type EncodedMessage, methodDefinition } from './definition.ts';
import { streamed } from './stream.ts';

/** How a call may be ended from this side. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds from now; unary calls have 10 s unless told otherwise, streams have none. */
  readonly deadlineMs?: number;
}

/** What every call of a service carries. */
export interface ConnectOptions {
  /** Header fields, asked for anew at each call: a token changes with time. What it throws, the call throws. Names in lower case. */
  readonly headers?: () => Readonly<Record<string, string>>;
}

/** Both directions of one open call. */
export interface Duplex<I, O> {
  /** Resolves when the transport has taken the message: keep few in flight, since grpc-js counts messages and not bytes. */
  send(message: I): Promise<void>;
  /** The same for a message of the same kind that is encoded already. */
  sendEncoded(message: EncodedMessage): Promise<void>;
  /** Nothing more will be sent. */
  end(): void;
  /** Throws the call's fault when it ends badly. */
  readonly responses: AsyncIterable<O>;
  /** Resets the call. */
  cancel(): void;
}

type CallOf<M extends DescMethod> = M['methodKind'] extends 'unary'
  ? (request: MessageInitShape<M['input']>, options?: CallOptions) => Promise<MessageShape<M['output']>>
  : M['methodKind'] extends 'server_streaming'
    ? (request: MessageInitShape<M['input']>, options?: CallOptions) => AsyncIterable<MessageShape<M['output']>>
    : M['methodKind'] extends 'bidi_streaming'
      ? (options?: CallOptions) => Duplex<MessageInitShape<M['input']>, MessageShape<M['output']>>
      : never;

/** The calls of a service, their types derived from its descriptor. Every failure is a Fault. */
export type Calls<S extends DescService> = { [K in keyof S['method']]: CallOf<S['method'][K]> };

/** The typed calls of a service over a grpc-js client, or over whichever there is at the moment of a call. */
export function connect<S extends DescService>(
  service: S,
  client: Client | (() => Client),
  options: ConnectOptions = {},
): Calls<S> {
  const current = typeof client === 'function' ? client : () => client;
  const { headers } = options;
  const metadata = headers === undefined ? () => new Metadata() : () => metadataOf(headers());
  const calls: Record<string, unknown> = {};
  for (const method of service.methods) calls[method.localName] = callOf(method, current, metadata);
  return calls as Calls<S>;
}

/** Values are checked here, because the error of grpc-js quotes the value, which may be a secret. */
function metadataOf(headers: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[ -~]*$/.test(value)) {
      throw new Fault(
        'invalid_argument',
        `the header ${name} has characters that no header can have; is it the text that it should be?`,
      );
    }
    metadata.set(name, value);
  }
  return metadata;
}

const unaryDeadlineMs = 10_000;

function callOf(method: DescMethod, client: () => Client, metadata: () => Metadata) {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  const build = (message: MessageInitShape<typeof method.input>): AnyMessage => create(method.input, message);
  switch (method.methodKind) {
    case 'unary':
      return (request: MessageInitShape<typeof method.input>, options: CallOptions = {}): Promise<AnyMessage> =>
        new Promise((resolve, reject) => {
          const deadline = { deadline: Date.now() + (options.deadlineMs ?? unaryDeadlineMs) };
          const call = client().makeUnaryRequest(
            path,
            requestSerialize,
            responseDeserialize,
            build(request),
            metadata(),
            deadline,
            (error, response) => {
              stop();
              if (error === null && response !== undefined) resolve(response);
              else reject(Fault.from(error));
            },
          );
          const stop = cancelOn(options.signal, () => call.cancel());
        });
    case 'server_streaming':
      return async function* (
        request: MessageInitShape<typeof method.input>,
        options: CallOptions = {},
      ): AsyncIterable<AnyMessage> {
        const call = client().makeServerStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          build(request),
          metadata(),
          deadlineOf(options),
        );
        call.on('error', () => undefined);
        const stop = cancelOn(options.signal, () => call.cancel());
        try {
          yield* faulty(streamed(call));
        } finally {
          stop();
          call.cancel();
        }
      };
    case 'bidi_streaming':
      return (options: CallOptions = {}): Duplex<MessageInitShape<typeof method.input>, AnyMessage> => {
        const call = client().makeBidiStreamRequest<AnyMessage | EncodedMessage, AnyMessage>(
          path,
          requestSerialize,
          responseDeserialize,
          metadata(),
          deadlineOf(options),
        );
        return duplex(call, build, options.signal);
      };
    case 'client_streaming':
      throw new Fault('internal', `${method.name}: a stream from the client alone has no place in the contract`);
  }
}

function duplex<I>(
  call: ClientDuplexStream<AnyMessage | EncodedMessage, AnyMessage>,
  build: (message: I) => AnyMessage,
  signal?: AbortSignal,
): Duplex<I, AnyMessage> {
  const stop = cancelOn(signal, () => call.cancel());
  // The status arrives as an error event too; without a listener it would end the process before anybody reads the responses.
  call.on('error', () => undefined);
  call.on('close', stop);
  const write = (message: AnyMessage | EncodedMessage): Promise<void> =>
    new Promise((resolve, reject) => {
      call.write(message, (error?: Error | null) => {
        if (error) reject(Fault.from(error));
        else resolve();
      });
    });
  return {
    send: (message) => write(build(message)),
    sendEncoded: write,
    end: () => call.end(),
    responses: faulty(streamed(call)),
    cancel: () => call.cancel(),
  };
}

async function* faulty<T>(messages: AsyncIterable<T>): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (error) {
    throw Fault.from(error);
  }
}

function deadlineOf(options: CallOptions): { deadline?: number } {
  return options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs };
}

function cancelOn(signal: AbortSignal | undefined, cancel: () => void): () => void {
  if (signal === undefined) return () => undefined;
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}
