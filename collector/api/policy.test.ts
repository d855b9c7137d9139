import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { create } from '@bufbuild/protobuf';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { methodDefinition, pathOf } from '@kcorder/proto/bridge/definition.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { services } from '@kcorder/proto/services.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeAuthority } from '../../tools/certificates.ts';
import { Parties, Rig } from '../testing/rig.ts';
import { policy } from './policy.ts';

const parties = new Parties();
const foreignDir = mkdtempSync(join(tmpdir(), 'kcorder-foreign-'));
const foreign = makeAuthority(foreignDir);
let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start(parties);
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  parties[Symbol.dispose]();
  rmSync(foreignDir, { recursive: true, force: true });
});

const methods = services.flatMap((service) => service.methods);
const identities: Record<string, TlsIdentity> = {
  node: parties.node('n1'),
  operator: parties.operator,
  'certificate with another URI': parties.authority.agent('CAPITALS', 'u1'),
  'certificate with two identities': parties.authority.agent('n1', 'u1,URI:spiffe://kcorder/operator/alice'),
};

test('every method has a policy, and there is no policy without a method', () => {
  expect(Object.keys(policy).sort()).toEqual(methods.map(pathOf).sort());
});

/** Calls a method with an empty message and gives back how it ended. */
async function call(client: Client, method: (typeof methods)[number]): Promise<Fault | undefined> {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  return await new Promise((resolve) => {
    const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata(), {
      deadline: Date.now() + 10_000,
    });
    stream.on('error', (error) => resolve(Fault.from(error)));
    stream.on('end', () => resolve(undefined));
    stream.resume();
    if (method.methodKind !== 'bidi_streaming') stream.write(create(method.input));
    stream.end();
  });
}

describe.each(Object.keys(identities))('a %s', (role) => {
  test.each(methods.map((method) => ({ path: pathOf(method), method })))('and $path', async ({ path, method }) => {
    const fault = await call(rig.channel(identities[role] ?? parties.operator), method);
    const by = policy[path]?.by;
    const admitted = by === 'anyone' || (by === 'node' ? role === 'node' : role === 'operator');
    if (admitted) expect(fault?.code).not.toBe('permission_denied');
    else if (role === 'node' || role === 'operator') {
      expect(fault).toMatchObject({
        code: 'permission_denied',
        message: expect.stringContaining(`may not call ${path}`),
      });
    } else {
      expect(fault).toMatchObject({
        code: 'unauthenticated',
        message: expect.stringContaining('names no kcorder identity'),
      });
    }
  });
});

test('the right of a role reaches the handler: an operator reads the version', async () => {
  expect(await rig.operator().getVersion({})).toMatchObject({ version: expect.stringMatching(/^\d/) });
});

/** Calls over a connection that must not come about; the fault is the transport's. */
async function refusedCall(client: Client): Promise<unknown> {
  try {
    return await connect(OperatorService, client)
      .getVersion({}, { deadlineMs: 5_000 })
      .catch((error: unknown) => error);
  } finally {
    client.close();
  }
}

test.each([
  {
    sentence: 'a certificate of another authority',
    open: () => {
      const { certificate, key } = foreign.operator('alice');
      return credentials.createSsl(parties.server.ca, key, certificate);
    },
  },
  { sentence: 'no certificate', open: () => credentials.createSsl(parties.server.ca) },
  {
    sentence: 'the certificate of a server',
    open: () => credentials.createSsl(parties.server.ca, parties.server.key, parties.server.certificate),
  },
  { sentence: 'no TLS', open: () => credentials.createInsecure() },
])('with $sentence no call gets through', async ({ open }) => {
  const options = { 'grpc.ssl_target_name_override': 'localhost' };
  const fault = await refusedCall(new Client(`127.0.0.1:${rig.port}`, open(), options));
  expect(fault).toBeInstanceOf(Fault);
  expect(['unavailable', 'deadline_exceeded']).toContain((fault as Fault).code);
});

test.each([
  { version: 'TLSv1.2', welcome: false },
  { version: 'TLSv1.3', welcome: true },
] as const)('$version: welcome $welcome', async ({ version, welcome }) => {
  const { ca, certificate, key } = parties.operator;
  const names = { servername: 'localhost', ALPNProtocols: ['h2'] };
  const socket = tls.connect({
    port: rig.port,
    host: '127.0.0.1',
    ca,
    cert: certificate,
    key,
    minVersion: version,
    maxVersion: version,
    ...names,
  });
  const ending = await new Promise<string>((resolve) => {
    socket.once('error', (error) => resolve(error.message));
    // The first bytes of the server show that it took the client's certificate too.
    socket.once('data', () => resolve(socket.getProtocol() ?? ''));
  });
  socket.destroy();
  if (welcome) expect(ending).toBe('TLSv1.3');
  else expect(ending).toMatch(/protocol version|unsupported protocol/i);
});
