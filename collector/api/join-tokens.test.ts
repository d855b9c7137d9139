import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { openAnonymousChannel, openChannel, type TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { HandAgent } from '../testing/hand-agent.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const localhost = { serverName: 'localhost' };

/** Enrols on the port for those without a certificate. */
async function enrol(rig: Rig, joinToken: string): Promise<TlsIdentity & { bundle: string }> {
  const client = openAnonymousChannel(`127.0.0.1:${rig.apiPort}`, parties.authority.ca, localhost);
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const digest = createHash('sha256').update(joinToken).digest();
  try {
    const { certificate, trustBundle } = await connect(EnrolmentService, client).enrol({
      credential: { case: 'joinToken', value: joinToken },
      publicKey: publicKey.export({ format: 'der', type: 'spki' }),
      proof: sign('sha256', Buffer.concat([Buffer.from('kcorder enrolment v1\n'), digest]), privateKey),
      agentVersion: '0.1.0',
    });
    const key = Buffer.from(privateKey.export({ format: 'pem', type: 'pkcs8' }));
    return { ca: parties.authority.ca, certificate: Buffer.from(certificate), key, bundle: trustBundle };
  } finally {
    client.close();
  }
}

test('a join token: an operator makes it, the agent enrols with it once, and its certificate is that node and nothing else', async () => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  const operator = connect(EnrolmentService, rig.channel(parties.operator));
  const { token } = await operator.createJoinToken({ nodeName: 'n7', nodeUid: 'uid-n7' });
  const identity = await enrol(rig, token);
  expect(identity.bundle.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  await new HandAgent(rig.channel(identity)).attach();
  const { nodes } = await rig.operator().listNodes({});
  expect(nodes).toEqual([expect.objectContaining({ name: 'n7', uid: 'uid-n7', online: true })]);
  await expect(rig.operator(identity).listNodes({})).rejects.toMatchObject({ code: 'permission_denied' });
  await expect(enrol(rig, token)).rejects.toMatchObject({
    code: 'unauthenticated',
    message: expect.stringContaining('it was used, has expired, or was never made'),
  });
  expect(JSON.stringify(rig.logged)).not.toContain(token);
});

test('an expired token is not taken', async () => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  const operator = connect(EnrolmentService, rig.channel(parties.operator));
  const wish = { nodeName: 'n7', nodeUid: 'uid-n7', validFor: durationFromMs(1) };
  const { token } = await operator.createJoinToken(wish);
  await new Promise((resolve) => setTimeout(resolve, 10));
  await expect(enrol(rig, token)).rejects.toMatchObject({ code: 'unauthenticated' });
});

test.each([
  { nodeName: 'UPPER', nodeUid: 'u' },
  { nodeName: '', nodeUid: 'u' },
  { nodeName: '../n', nodeUid: 'u' },
  { nodeName: 'n', nodeUid: 'a/b' },
  { nodeName: 'n', nodeUid: '' },
])('no token for node "$nodeName" with uid "$nodeUid"', async (node) => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  const operator = connect(EnrolmentService, rig.channel(parties.operator));
  await expect(operator.createJoinToken(node)).rejects.toMatchObject({ code: 'invalid_argument' });
});

test('a collector without an authority enrols nobody and says why', async () => {
  await using rig = await Rig.start(parties);
  await expect(enrol(rig, 'kcj_x')).rejects.toMatchObject({
    code: 'unimplemented',
    message: expect.stringContaining('has no authority of its own'),
  });
});

test('the port for enrolment takes no certificate for an identity, and the other port nobody without one', async () => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  const onApiPort = openChannel(`127.0.0.1:${rig.apiPort}`, parties.operator, localhost);
  await expect(
    connect(EnrolmentService, onApiPort).createJoinToken({ nodeName: 'n', nodeUid: 'u' }),
  ).rejects.toMatchObject({
    code: 'unauthenticated',
  });
  onApiPort.close();
  const onAgentsPort = openAnonymousChannel(`127.0.0.1:${rig.port}`, parties.authority.ca, localhost);
  await expect(connect(EnrolmentService, onAgentsPort).enrol({}, { deadlineMs: 3_000 })).rejects.toMatchObject({
    code: expect.stringMatching(/unavailable|deadline_exceeded/),
  });
  onAgentsPort.close();
});
