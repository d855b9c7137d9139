import {
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';

/** Messages as one kind of shape: the wire does not know more. */
export type AnyMessage = MessageShape<DescMessage>;

/** A message that its sender has encoded already. */
export class EncodedMessage {
  readonly bytes: Buffer;

  /** `bytes` are given to the transport as they are: they must not change before it has taken them. */
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

interface Encoders {
  readonly requestSerialize: (message: AnyMessage | EncodedMessage) => Buffer;
}

function codec(schema: DescMessage) {
  return {
    serialize: (message: AnyMessage | EncodedMessage): Buffer => {
      if (message instanceof EncodedMessage) return message.bytes;
      const bytes = toBinary(schema, message);
      // A view: Buffer.from(bytes) would copy every chunk of an image once more.
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    deserialize: (bytes: Buffer): AnyMessage => fromBinary(schema, bytes),
  };
}

/** Full path of a method on the wire, as gRPC writes it: /package.Service/Method. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** The grpc-js definition of one method of a protobuf-es descriptor. */
export function methodDefinition(method: DescMethod): MethodDefinition<AnyMessage, AnyMessage> & Encoders {
  const input = codec(method.input);
  const output = codec(method.output);
  return {
    path: pathOf(method),
    requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: input.serialize,
    requestDeserialize: input.deserialize,
    responseSerialize: output.serialize,
    responseDeserialize: output.deserialize,
    originalName: method.localName,
  };
}

/** The grpc-js definition of a whole service. */
export function serviceDefinition(service: DescService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, methodDefinition(method)]));
}
