import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { makeAuthority } from '../../tools/certificates.ts';
import { makeFakeAvml } from '../testing/fake-avml.ts';
import { Rig, renewedAfter, until } from '../testing/rig.ts';

const refusedMessage = 'no certificate was issued; trying again';
const token = 'header.payload.signature';
const refusals = (rig: Rig): string[] =>
  rig.logged.filter(({ msg }) => msg === refusedMessage).map(({ causes }) => String(causes));

test('an agent without a certificate gets one by its token and attaches with it', async () => {
  await using rig = new Rig();
  await rig.enrols({ token: `${token}\n`, ca: rig.authority.ca });
  await rig.start(makeFakeAvml(rig.dir, 1));
  expect(rig.enrolment.requests).toMatchObject([
    { credential: { case: 'serviceAccountToken', value: token }, agentVersion: expect.stringMatching(/^\d/) },
  ]);
  expect(rig.collector.peers).toEqual(['URI:spiffe://kcorder/node/lab-1/uid-1']);
  expect(JSON.stringify(rig.logged)).not.toContain(token);
});

test.each([
  ['the token', {}, 'token', /no token to enrol with: \S+\/token: ENOENT/],
  ['the authorities', { token }, 'ca.crt', /no authority to check the collector with: \S+\/ca\.crt: ENOENT/],
  ['an authority in the file', { token, ca: Buffer.alloc(0) }, 'ca.crt', /ca\.crt: there is no certificate in it/],
  ['a token in the file', { token: '\n' }, 'token', /\/token is empty/],
])('%s is missing at the start: its file is named, and used as soon as it is there', async (_, given, file, said) => {
  await using rig = new Rig();
  await rig.enrols(given);
  const started = rig.start(makeFakeAvml(rig.dir, 1));
  await until(() => refusals(rig).length >= 3);
  expect(refusals(rig)[0]).toMatch(said);
  expect(rig.enrolment.requests).toEqual([]);
  writeFileSync(rig.place.tokenFile, token);
  writeFileSync(rig.place.caFile, rig.authority.ca);
  expect(file).toBeDefined();
  await started;
});

test('a refusal is logged with its sentence, and the token is read anew for the next try', async () => {
  await using rig = new Rig();
  await rig.enrols({ token: 'first', ca: rig.authority.ca });
  rig.enrolment.bend = () => {
    throw new Fault('unauthenticated', 'the token is of another service account');
  };
  const started = rig.start(makeFakeAvml(rig.dir, 1));
  await until(() => refusals(rig).length >= 2);
  expect(refusals(rig)[0]).toContain('Fault: the token is of another service account');
  writeFileSync(rig.place.tokenFile, 'second');
  rig.enrolment.bend = () => undefined;
  await started;
  expect(rig.enrolment.requests.at(-1)?.credential.value).toBe('second');
});

test('a server of another authority is not told the token', async () => {
  await using rig = new Rig();
  const other = makeAuthority(join(rig.dir, 'other'));
  await rig.enrols({ token, ca: other.ca });
  const started = rig.start(makeFakeAvml(rig.dir, 1));
  await until(() => refusals(rig).length >= 2);
  expect(refusals(rig)[0]).toMatch(/certificate/);
  expect(rig.enrolment.requests).toEqual([]);
  writeFileSync(rig.place.caFile, rig.authority.ca);
  await started;
});

test.each<[string, (rig: Rig) => void, RegExp]>([
  [
    'is for another key',
    (rig) => {
      const certificate = rig.authority.agent('lab-1', 'uid-9').certificate.toString();
      rig.enrolment.bend = () => ({ certificate });
    },
    /the key of another/,
  ],
  [
    'is none',
    (rig) => {
      rig.enrolment.bend = () => ({ certificate: 'nothing' });
    },
    /no certificate/,
  ],
  [
    'names an operator',
    (rig) => {
      rig.enrolment.names = () => 'URI:spiffe://kcorder/operator/ada';
    },
    /one node and nothing else, but names "URI:spiffe:\/\/kcorder\/operator\/ada"/,
  ],
  [
    'names two nodes',
    (rig) => {
      rig.enrolment.names = () => 'URI:spiffe://kcorder/node/lab-1/uid-1,URI:spiffe://kcorder/node/lab-2/uid-2';
    },
    /one node and nothing else/,
  ],
])('an answer whose certificate %s is not used', async (_, bend, said) => {
  await using rig = new Rig();
  const names = rig.enrolment.names;
  bend(rig);
  await rig.enrols({ token, ca: rig.authority.ca });
  const started = rig.start(makeFakeAvml(rig.dir, 1));
  await until(() => refusals(rig).length >= 2);
  expect(refusals(rig)[0]).toMatch(said);
  expect(rig.collector.peers).toEqual([]);
  rig.enrolment.bend = () => undefined;
  rig.enrolment.names = names;
  await started;
});

test('an upload lives through renewals, and each new connection shows the new certificate', async () => {
  await using rig = new Rig();
  await rig.enrols({ token, ca: rig.authority.ca });
  const avml = makeFakeAvml(rig.dir, 8_000_000);
  const before = Promise.withResolvers<void>();
  rig.collector.bends.chunk = (offset) => (offset > 2_000_000 ? before.promise : undefined);
  await rig.start(avml, {}, renewedAfter(300));
  rig.collector.order('c-1');
  await until(() => rig.collector.image.length > 1_000_000);
  const issued = rig.enrolment.issued;
  await until(() => rig.enrolment.issued >= issued + 2);
  before.resolve();
  await until(() => rig.collector.sealed);
  expect(rig.collector.image.equals(avml.image)).toBe(true);
  expect(rig.collector.opens.slice(1).every(({ moved }) => moved)).toBe(true);
  expect(new Set(rig.collector.peers).size).toBe(rig.collector.peers.length);

  rig.collector.stop();
  await rig.collector.start();
  const { length } = rig.collector.peers;
  await until(() => rig.collector.peers.length > length);
  const shown = Number(rig.collector.peers.at(-1)?.split('uid-')[1]);
  expect(shown).toBeGreaterThan(issued);
});

test('while renewal fails the last certificate stays in use', async () => {
  await using rig = new Rig();
  await rig.enrols({ token, ca: rig.authority.ca });
  await rig.start(makeFakeAvml(rig.dir, 1), {}, renewedAfter(50));
  rig.enrolment.stop();
  await until(() => refusals(rig).length >= 2);
  expect(rig.logged.find(({ msg }) => msg === refusedMessage)?.meanwhile).toMatch(
    /^the last certificate is good until/,
  );
  rig.collector.stop();
  await rig.collector.start();
  await until(() => rig.collector.peers.length === 2);
  await rig.enrolment.start();
  const { issued } = rig.enrolment;
  await until(() => rig.enrolment.issued > issued);
});

test('an authority that the collector named before is known when its certificate comes from it, ahead of the file', async () => {
  await using rig = new Rig();
  const next = makeAuthority(join(rig.dir, 'next'));
  const both = Buffer.concat([rig.authority.ca, next.ca]);
  rig.enrolment.bend = () => ({ trustBundle: both.toString() });
  await rig.enrols({ token, ca: rig.authority.ca });
  await rig.start(makeFakeAvml(rig.dir, 1), {}, renewedAfter(100));
  rig.collector.stop();
  await rig.collector.start({ ...next.server(), ca: both });
  await until(() => rig.collector.peers.length === 2);
  rig.enrolment.stop();
  await rig.enrolment.start(next.server());
  const { issued } = rig.enrolment;
  await until(() => rig.enrolment.issued > issued);
});

test('a rotated authority in the file counts at the next connection', async () => {
  await using rig = new Rig();
  const next = makeAuthority(join(rig.dir, 'next'));
  await rig.enrols({ token, ca: rig.authority.ca });
  await rig.start(makeFakeAvml(rig.dir, 1));
  writeFileSync(rig.place.caFile, next.ca);
  rig.collector.stop();
  await rig.collector.start({ ...next.server(), ca: rig.authority.ca });
  await until(() => rig.collector.peers.length === 2);
});

test('an empty file of authorities leaves the last good one in use', async () => {
  await using rig = new Rig();
  await rig.enrols({ token, ca: rig.authority.ca });
  await rig.start(makeFakeAvml(rig.dir, 1));
  writeFileSync(rig.place.caFile, '');
  rig.collector.stop();
  await rig.collector.start();
  await until(() => rig.collector.peers.length === 2);
  expect(rig.saw('the file of authorities cannot be used; the last good one stays')).toBe(true);
});

/** An agent that has enrolled with a join token; its collector renews certificates as long as `renews` is true. */
async function joined(rig: Rig, collector = { renews: true }): Promise<void> {
  rig.collector.renew = (request, context) => {
    if (collector.renews) return rig.enrolment.renew(request, context);
    throw new Fault('unauthenticated', 'the authority is another one by now');
  };
  await rig.enrols({ token: 'kcj_first', ca: rig.authority.ca });
  await rig.start(makeFakeAvml(rig.dir, 1), {}, renewedAfter(50));
}

test('a join token is shown once, then each certificate gets the next one, for the same node and with another key', async () => {
  await using rig = new Rig();
  await joined(rig);
  await until(() => rig.enrolment.renewedBy.length >= 3);
  const shown = rig.enrolment.renewedBy;
  expect(new Set(shown.map((one) => one.subjectAltName))).toEqual(new Set(['URI:spiffe://kcorder/node/lab-1/uid-1']));
  expect(new Set(shown.map((one) => one.serialNumber)).size).toBe(shown.length);
  const [first, ...others] = rig.enrolment.requests;
  expect(first?.credential).toMatchObject({ case: 'joinToken', value: 'kcj_first' });
  expect(new Set(others.map((request) => request.credential.case))).toEqual(new Set([undefined]));
  const keys = rig.enrolment.requests.map(({ publicKey }) => Buffer.from(publicKey).toString('hex'));
  expect(new Set(keys).size).toBe(keys.length);
  expect(rig.collector.opens).toHaveLength(0);
  expect(rig.saw('not attached; trying again')).toBe(false);
});

test('a join token whose answer was lost is shown again by the same key', async () => {
  await using rig = new Rig();
  const answers = ['lost', 'lost'];
  rig.enrolment.bend = () => {
    if (answers.pop() !== undefined) throw new Fault('unavailable', 'the connection broke');
    return undefined;
  };
  await joined(rig);
  const shown = rig.enrolment.requests.slice(0, 3).map(({ publicKey }) => Buffer.from(publicKey).toString('hex'));
  expect([shown.length, new Set(shown).size]).toEqual([3, 1]);
});

test('renewal needs neither the used token nor the port for enrolment', async () => {
  await using rig = new Rig();
  await joined(rig);
  rmSync(rig.place.tokenFile);
  rig.enrolment.stop();
  const { length } = rig.enrolment.renewedBy;
  await until(() => rig.enrolment.renewedBy.length >= length + 2);
});

test('a renewal that is refused is tried again, the last certificate stays in use, and another join token is taken', async () => {
  await using rig = new Rig();
  const collector = { renews: false };
  await joined(rig, collector);
  const said = () => rig.logged.filter(({ msg }) => String(msg).startsWith('the certificate was not renewed'));
  await until(() => said().length >= 2);
  expect(said()[0]).toMatchObject({
    msg: expect.stringMatching(/trying again, and with another join token as soon as it is in .*\/token$/),
    meanwhile: expect.stringMatching(/good until/),
  });
  expect(String(said()[0]?.causes)).toContain('the authority is another one by now');
  expect(rig.enrolment.requests).toHaveLength(1);
  writeFileSync(rig.place.tokenFile, 'kcj_second');
  await until(() => rig.enrolment.issued === 2);
  collector.renews = true;
  await until(() => rig.enrolment.renewedBy.length > 0);
  expect(rig.enrolment.renewedBy[0]?.subjectAltName).toBe('URI:spiffe://kcorder/node/lab-1/uid-2');
  expect(JSON.stringify(rig.logged)).not.toMatch(/kcj_/);
});

test('a renewed certificate of another node is not used', async () => {
  await using rig = new Rig();
  await joined(rig);
  rig.collector.renew = (request, context) =>
    rig.enrolment.renew(request, context, 'URI:spiffe://kcorder/node/lab-2/uid-1');
  const said = () => rig.logged.filter(({ msg }) => String(msg).startsWith('the certificate was not renewed'));
  await until(() => said().length >= 2);
  expect(String(said()[0]?.causes)).toMatch(/it is for spiffe:\/\/kcorder\/node\/lab-2\/uid-1 instead of/);
});

test('a used join token at the start: its refusal says what to do, it is shown no more, and another one is taken', async () => {
  await using rig = new Rig();
  await rig.enrols({ token: 'kcj_first', ca: rig.authority.ca });
  rig.enrolment.use('kcj_first');
  const started = rig.start(makeFakeAvml(rig.dir, 1));
  const said = () => rig.logged.filter(({ msg }) => String(msg).startsWith('the join token was refused'));
  await until(() => said().length > 0);
  expect(said()[0]).toMatchObject({
    msg: expect.stringMatching(/works once, and for a short time; make another one and put it into .*\/token$/),
    meanwhile: expect.stringMatching(/no certificate yet/),
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(rig.enrolment.requests).toHaveLength(1);
  writeFileSync(rig.place.tokenFile, 'kcj_second');
  await started;
  expect(JSON.stringify(rig.logged)).not.toMatch(/kcj_/);
});

test('an agent that never got a certificate ends at once when it is told to', async () => {
  await using rig = new Rig();
  await rig.enrols({});
  void rig.start(makeFakeAvml(rig.dir, 1));
  await until(() => refusals(rig).length > 0);
  const from = performance.now();
  await rig.endAgent();
  expect(performance.now() - from).toBeLessThan(2_000);
  // What waits for a hello is let go.
  rig.collector.hellos.push({} as never);
});
