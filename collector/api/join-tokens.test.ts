import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { openAnonymousChannel, openChannel } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { asked, enrol, joined, renew } from '../testing/enrolling.ts';
import { HandAgent } from '../testing/hand-agent.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const localhost = { serverName: 'localhost' };

/** What the collector has put on record; ends it, since nobody else may open its journal meanwhile. */
async function acts(rig: Rig): Promise<{ actor: string; action: string; detail: unknown }[]> {
  await rig.stopCollector();
  const database = new DatabaseSync(join(rig.dataDir, 'kcorder.db'), { readOnly: true });
  const rows = database.prepare('SELECT actor, action, detail FROM audit ORDER BY seq').all();
  database.close();
  return rows.map(({ actor, action, detail }) => ({
    actor: String(actor),
    action: String(action),
    detail: JSON.parse(String(detail)),
  }));
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

test('a join token whose answer was lost: the same key gets another certificate, and no other key does; each is on record', async () => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  const operator = connect(EnrolmentService, rig.channel(parties.operator));
  const { token } = await operator.createJoinToken({ nodeName: 'n7', nodeUid: 'uid-n7' });
  const shown = asked(token);
  const certificates = [await enrol(rig, token, shown), await enrol(rig, token, shown)];
  await expect(enrol(rig, token)).rejects.toMatchObject({ code: 'unauthenticated' });
  const [first, second] = certificates.map(({ certificate }) => new X509Certificate(certificate));
  expect(second?.subjectAltName).toBe(first?.subjectAltName);
  expect(second?.serialNumber).not.toBe(first?.serialNumber);
  expect((await acts(rig)).map(({ action }) => action).filter((one) => one.startsWith('enrol'))).toEqual([
    'enrolled',
    'enrolled',
    'enrolment_refused',
  ]);
});

test('an expired token is not taken', async () => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  const operator = connect(EnrolmentService, rig.channel(parties.operator));
  const spec = { nodeName: 'n7', nodeUid: 'uid-n7', validFor: durationFromMs(1) };
  const { token } = await operator.createJoinToken(spec);
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

test('a certificate gets the next one, and that one the next again, for the same node; each is on record', async () => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  const first = await joined(rig);
  const second = await renew(rig, first);
  const third = await renew(rig, second);
  const [a, b, c] = [first, second, third].map(({ certificate }) => new X509Certificate(certificate));
  expect([b?.subjectAltName, c?.subjectAltName]).toEqual([a?.subjectAltName, 'URI:spiffe://kcorder/node/n7/uid-n7']);
  expect(new Set([a, b, c].map((one) => one?.serialNumber)).size).toBe(3);
  expect(third.bundle.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  await new HandAgent(rig.channel(third)).attach();
  expect((await rig.operator().listNodes({})).nodes).toEqual([expect.objectContaining({ name: 'n7', uid: 'uid-n7' })]);
  const node = { name: 'n7', uid: 'uid-n7' };
  expect((await acts(rig)).filter(({ action }) => action === 'certificate_renewed')).toEqual(
    Array.from({ length: 2 }, () => ({
      actor: 'node/n7',
      action: 'certificate_renewed',
      detail: { node, peer: expect.stringMatching(/^127/), agentVersion: '0.1.0', notAfter: expect.any(String) },
    })),
  );
});

test('each of many tokens for one node works, however soon after the other: what is used up is not put off', async () => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  for (let i = 0; i < 6; i += 1) await joined(rig);
  expect(await rig.metrics()).toMatch(/kcorder_enrolments_total\{result="refused"\} 0/);
});

test('renewals have a pace for each node', async () => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  const identity = await joined(rig);
  for (let i = 0; i < 3; i += 1) await renew(rig, identity);
  await expect(renew(rig, identity)).rejects.toMatchObject({
    code: 'resource_exhausted',
    message: expect.stringContaining('node n7'),
  });
});

test.each([
  {
    sentence: 'a node whose certificate is of another authority that the collector trusts',
    identity: () => parties.node('n7'),
    code: 'unauthenticated',
    says: "is not of this collector's own authority",
  },
  {
    sentence: 'an operator',
    identity: () => parties.operator,
    code: 'permission_denied',
    says: 'operator/alice cannot renew',
  },
])('$sentence cannot renew, and the refusal is on record and counted', async ({ identity, code, says }) => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  await expect(renew(rig, identity())).rejects.toMatchObject({ code, message: expect.stringContaining(says) });
  expect(await rig.metrics()).toMatch(/kcorder_enrolments_total\{result="refused"\} 1/);
  expect(await acts(rig)).toMatchObject([{ action: 'enrolment_refused', detail: { kind: 'certificate', code } }]);
});

test('a renewal with the proof for something else is invalid', async () => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  await expect(renew(rig, await joined(rig), 'something')).rejects.toMatchObject({ code: 'invalid_argument' });
});

test('without a certificate there is nothing to renew', async () => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  const client = openAnonymousChannel(`127.0.0.1:${rig.apiPort}`, parties.authority.ca, localhost);
  await expect(connect(EnrolmentService, client).enrol(asked('').request)).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining('the credential is missing'),
  });
  client.close();
});

test('a certificate of the own authority of another collector does not get in at all', async () => {
  await using other = await Rig.start(parties, { authority: 'directory' });
  await using rig = await Rig.start(parties, { authority: 'directory' });
  await expect(renew(rig, await joined(other))).rejects.toMatchObject({ code: 'unavailable' });
});
