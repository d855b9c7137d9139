import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Metadata, status } from '@grpc/grpc-js';
import type { TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { access } from '@kcorder/proto/gen/kcorder/v1/access_pb.ts';
import { AgentService } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { framed, rawCall, rawSession } from '../testing/raw-caller.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start(parties);
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  parties[Symbol.dispose]();
});

const asIs = (bytes: Buffer): Buffer => bytes;

/** Sends the bytes of one message and gives back those of the first answer. */
async function ask(path: string, message: Buffer): Promise<Buffer> {
  const stream = rig.channel(parties.operator).makeBidiStreamRequest(path, asIs, asIs, new Metadata());
  try {
    return await new Promise((resolve, reject) => {
      stream.on('error', reject).on('data', resolve);
      stream.write(message);
      stream.end();
    });
  } finally {
    stream.on('error', () => undefined).cancel();
  }
}

const field = (number: number, text: string): Buffer =>
  Buffer.concat([Buffer.from([(number << 3) | 2, text.length]), Buffer.from(text)]);

test.each(['', 'kcorder.v1.OperatorService', 'kcorder.v1.AgentService', 'kcorder.v1.IngestService'])(
  'the health service says that "%s" is serving',
  async (name) => {
    const answer = await ask('/grpc.health.v1.Health/Check', name === '' ? Buffer.alloc(0) : field(1, name));
    expect([...answer]).toEqual([0x08, 0x01]);
  },
);

test.each([
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/List',
  '/grpc.health.v1.Health/Watch',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
])('%s is for whoever is known: a node, an operator, and nobody else', async (path) => {
  const nameless = parties.authority.agent('CAPITALS', 'u1');
  const code = async (port: number, identity?: TlsIdentity): Promise<number | undefined> => {
    const session = rawSession(port, parties.authority.ca, identity);
    const { stream, ended } = rawCall(session, path);
    stream.on('response', (headers) => {
      // A stream that answers goes on until it is ended.
      if (headers['grpc-status'] === undefined) stream.close(8);
    });
    stream.end(framed(0));
    const { status: ending } = await ended;
    session.destroy();
    return ending;
  };
  expect(await code(rig.apiPort)).toBe(status.UNAUTHENTICATED);
  expect(await code(rig.port, nameless)).toBe(status.UNAUTHENTICATED);
  for (const identity of [parties.node('n1'), parties.operator])
    expect(await code(rig.port, identity)).not.toBe(status.UNAUTHENTICATED);
});

test('the health service does not know a service that is not there', async () => {
  await expect(ask('/grpc.health.v1.Health/Check', field(1, 'kcorder.v1.No'))).rejects.toMatchObject({ code: 5 });
});

test.each(['v1', 'v1alpha'])('reflection %s describes every service with files that fit together', async (version) => {
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
  const listed = (await ask(path, field(7, '*'))).toString('latin1');
  for (const service of [OperatorService, AgentService, IngestService]) {
    expect(listed).toContain(service.typeName);
    const protos = filesOf(await ask(path, field(4, service.typeName)));
    const known = () => new Set(protos.map(({ name }) => name));
    // As clients do: what is imported and did not come along is asked for by name.
    for (const proto of protos) {
      for (const name of proto.dependency.filter((dependency) => !known().has(dependency))) {
        protos.push(...filesOf(await ask(path, field(3, name))).filter((file) => !known().has(file.name)));
        expect(known()).toContain(name);
      }
    }
    // Throws when a type is in none of the files that its own file imports.
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: inOrder(protos) }));
    const described = registry.getService(service.typeName);
    expect(described?.methods.map(({ name, input }) => [name, input.fields.map((each) => each.name)])).toEqual(
      service.methods.map(({ name, input }) => [name, input.fields.map((each) => each.name)]),
    );
    // The library that serves reflection drops the options' values; what they are made of is there.
    expect(registry.getExtension(access.typeName)?.number).toBe(access.number);
  }
});

/** The files in a reflection answer. */
function filesOf(answer: Uint8Array): FileDescriptorProto[] {
  const files = lengths(answer, 4).flatMap((response) => lengths(response, 1));
  return files.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

/** Every file after those that it imports. */
function inOrder(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const placed = new Set<FileDescriptorProto>();
  const place = (name: string): void => {
    const file = files.find((candidate) => candidate.name === name);
    if (file === undefined || placed.has(file)) return;
    for (const dependency of file.dependency) place(dependency);
    placed.add(file);
  };
  for (const { name } of files) place(name);
  return [...placed];
}

/** The values of a length-delimited field of a message. */
function lengths(message: Uint8Array, number: number): Uint8Array[] {
  const reader = new BinaryReader(message);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [tagged, type] = reader.tag();
    if (tagged === number) found.push(reader.bytes());
    else reader.skip(type, tagged);
  }
  return found;
}
