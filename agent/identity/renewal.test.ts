import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault, type FaultCode } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { makeAuthority } from '../../tools/certificates.ts';
import { makeFakeAvml } from '../testing/fake-avml.ts';
import { Rig, renewedAfter, until } from '../testing/rig.ts';

// Renewals by the token of a pod: beside the certificate on the port of the agents, and alone where that is refused.

const fallenBack = 'the certificate was not renewed over mutual TLS; showing the token alone';
const notIssued = 'no certificate was issued; trying again';

/** An agent that has enrolled with the token of its pod and renews all the time. */
async function enrolled(rig: Rig): Promise<void> {
  await rig.enrols({ token: 'first', ca: rig.authority.ca });
  await rig.start(makeFakeAvml(rig.dir, 1), {}, renewedAfter(50));
}

test('a renewal shows the token of now beside the certificate, and needs the port for enrolment no more', async () => {
  await using rig = new Rig();
  const { enrolment } = rig;
  rig.collector.renew = (request, context) => enrolment.renew(request, context);
  await enrolled(rig);
  await until(() => enrolment.renewedBy.length >= 1);
  enrolment.stop();
  writeFileSync(rig.place.tokenFile, 'second');
  await until(() => enrolment.requests.at(-1)?.credential.value === 'second');
  const { length } = enrolment.renewedBy;
  await until(() => enrolment.renewedBy.length >= length + 2);
  expect(enrolment.requests).toHaveLength(1 + enrolment.renewedBy.length);
  expect(new Set(enrolment.renewedBy.map(({ subjectAltName }) => subjectAltName))).toEqual(
    new Set(['URI:spiffe://kcorder/node/lab-1/uid-1']),
  );
  expect(new Set(enrolment.renewedBy.map(({ serialNumber }) => serialNumber)).size).toBe(enrolment.renewedBy.length);
  expect(rig.saw(fallenBack)).toBe(false);
});

test.each<FaultCode>(['unauthenticated', 'permission_denied', 'resource_exhausted', 'unimplemented', 'internal'])(
  'a renewal that ends as %s over mutual TLS: the token alone gets the next certificate',
  async (code) => {
    await using rig = new Rig();
    rig.collector.renew = () => {
      throw new Fault(code, 'not here');
    };
    await enrolled(rig);
    await until(() => rig.enrolment.issued >= 3);
    const said = rig.logged.find(({ msg }) => msg === fallenBack);
    expect(said?.fault).toBe(code);
    expect(String(said?.causes)).toContain('not here');
    expect(rig.saw(notIssued)).toBe(false);
  },
);

test('a certificate that the collector does not trust any more: the token alone gets another', async () => {
  await using rig = new Rig();
  const other = makeAuthority(join(rig.dir, 'other'));
  rig.collector.renew = (request, context) => rig.enrolment.renew(request, context);
  await enrolled(rig);
  await until(() => rig.enrolment.renewedBy.length >= 1);
  rig.collector.stop();
  await rig.collector.start({ ...rig.authority.server(), ca: other.ca });
  const { issued } = rig.enrolment;
  await until(() => rig.enrolment.issued > issued);
  expect(rig.saw(fallenBack)).toBe(true);
});

test('an API server that does not answer is not asked again by the other port', async () => {
  await using rig = new Rig();
  rig.collector.renew = () => {
    throw new Fault('cluster_unavailable', 'the API server could not be asked');
  };
  await enrolled(rig);
  const failed = () => rig.logged.filter(({ msg }) => msg === notIssued);
  await until(() => failed().length >= 3);
  expect(failed()[0]).toMatchObject({ fault: 'cluster_unavailable' });
  expect(rig.enrolment.requests).toHaveLength(1);
});

test('a renewal that answers with a certificate of another node is not used', async () => {
  await using rig = new Rig();
  rig.collector.renew = (request, context) =>
    rig.enrolment.renew(request, context, 'URI:spiffe://kcorder/node/lab-2/uid-1');
  await enrolled(rig);
  await until(() => rig.saw(fallenBack));
  const said = rig.logged.find(({ msg }) => msg === fallenBack);
  expect(String(said?.causes)).toMatch(/it is for spiffe:\/\/kcorder\/node\/lab-2\/uid-1 instead of/);
});
