import {
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { decodeBounded, requireBounds } from '../bounds/decode.ts';
import { Fault } from '../fault.ts';

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

/** Stands for a message that was not taken: grpc-js answers what a decoder throws with INTERNAL and without its words. */
export class RefusedMessage {
  readonly fault: Fault;

  constructor(fault: Fault) {
    this.fault = fault;
  }
}

/** Answers to agents are bounded like requests: an agent is privileged. What answers people may be large, and comes from their own collector. */
const boundedAnswers = new Set(
  ['AttachResponse', 'UploadResponse', 'SendKernelTypesResponse', 'EnrolResponse'].map((name) => `kcorder.v1.${name}`),
);

/** Whether answers of this kind are held against bounds. */
export const isBoundedAnswer = ({ typeName }: DescMessage): boolean => boundedAnswers.has(typeName);

interface Encoders {
  readonly requestSerialize: (message: AnyMessage | EncodedMessage) => Buffer;
}

/** Decodes a request, or says why it is refused. */
function requestDecoder(schema: DescMessage): (bytes: Buffer) => AnyMessage {
  requireBounds(schema);
  return (bytes) => {
    try {
      return decodeBounded(schema, bytes);
    } catch (error) {
      return new RefusedMessage(Fault.from(error)) as unknown as AnyMessage;
    }
  };
}

function responseDecoder(schema: DescMessage): (bytes: Buffer) => AnyMessage {
  return isBoundedAnswer(schema) ? (bytes) => decodeBounded(schema, bytes) : (bytes) => fromBinary(schema, bytes);
}

function encoder(schema: DescMessage) {
  return (message: AnyMessage | EncodedMessage): Buffer => {
    if (message instanceof EncodedMessage) return message.bytes;
    const bytes = toBinary(schema, message);
    // A view: Buffer.from(bytes) would copy every chunk of an image once more.
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

/** Full path of a method on the wire, as gRPC writes it: /package.Service/Method. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** The grpc-js definition of one method of a protobuf-es descriptor. */
export function methodDefinition(method: DescMethod): MethodDefinition<AnyMessage, AnyMessage> & Encoders {
  return {
    path: pathOf(method),
    requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: encoder(method.input),
    requestDeserialize: requestDecoder(method.input),
    responseSerialize: encoder(method.output),
    responseDeserialize: responseDecoder(method.output),
    originalName: method.localName,
  };
}

/** The grpc-js definition of a whole service. */
export function serviceDefinition(service: DescService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, methodDefinition(method)]));
}
