import { X509Certificate } from 'node:crypto';
import type { TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { afterAll, expect, test } from 'vitest';
import { ClusterRig } from '../testing/cluster-rig.ts';
import { Parties } from '../testing/rig.ts';

// Renewals in a cluster: an agent shows its certificate on the port of the agents, and the token of its pod beside it.

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const namesOf = ({ certificate }: TlsIdentity) => new X509Certificate(certificate).subjectAltName;

/** Shows garbage until the budget of whoever pays for it is used up. */
async function useUp(all: ClusterRig, beside?: TlsIdentity): Promise<void> {
  for (let i = 0; ; i += 1) {
    const fault = await all.enrolBy(`garbage-${i}`, beside).catch((error: unknown) => error);
    if (!(fault instanceof Fault)) throw new Error('garbage was taken');
    if (fault.code === 'resource_exhausted') return;
    expect(fault.code).toBe('unauthenticated');
  }
}

test('garbage tokens from an address do not keep an agent there from renewing', async () => {
  await using all = await ClusterRig.start(parties, { n1: 'u1' });
  const first = await all.enrol('n1');
  await useUp(all);
  const second = await all.enrolBy('agent/n1/u1', first);
  expect(namesOf(second)).toBe('URI:spiffe://kcorder/node/n1/u1');
  expect(second.certificate.equals(first.certificate)).toBe(false);
  await all.agent(second).attach();
});

test('garbage beside a certificate is paid for by its names: not by other nodes of that address, nor by the address', async () => {
  await using all = await ClusterRig.start(parties, { n1: 'u1', n2: 'u2' });
  const [n1, n2] = [await all.enrol('n1'), await all.enrol('n2')];
  await useUp(all, n1);
  await all.enrolBy('agent/n2/u2', n2);
  await all.enrolBy('agent/n1/u1');
});

test.each([
  { sentence: 'another node', token: 'agent/n2/u2', says: 'it is of node n1 (u1), and the token of node n2 (u2)' },
  { sentence: 'the node that was made again', token: 'agent/n1/u1-again', says: 'the token of node n1 (u1-again)' },
])('a token of $sentence beside a certificate renews nothing, and is taken alone', async ({ token, says }) => {
  await using all = await ClusterRig.start(parties, { n1: 'u1', n2: 'u2' });
  const n1 = await all.enrol('n1');
  if (token.endsWith('again')) all.putNode('n1', 'u1-again');
  await expect(all.enrolBy(token, n1)).rejects.toMatchObject({
    code: 'unauthenticated',
    message: expect.stringContaining(says),
  });
  expect(await all.rig.metrics()).toMatch(/kcorder_enrolments_total\{result="refused"\} 1/);
  expect(namesOf(await all.enrolBy(token))).toBe(`URI:spiffe://kcorder/node/${token.slice('agent/'.length)}`);
});
