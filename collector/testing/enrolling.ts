import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { openAnonymousChannel, type TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import type { Rig } from './rig.ts';

const localhost = { serverName: 'localhost' };

/** A request for a new key, with the proof for what is shown. */
export function asked(shown: string) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const digest = createHash('sha256').update(shown).digest();
  return {
    key: Buffer.from(privateKey.export({ format: 'pem', type: 'pkcs8' })),
    request: {
      publicKey: publicKey.export({ format: 'der', type: 'spki' }),
      proof: sign('sha256', Buffer.concat([Buffer.from('kcorder enrolment v1\n'), digest]), privateKey),
      agentVersion: '0.1.0',
    },
  };
}

type Enrolled = TlsIdentity & { bundle: string };

/** Enrols on the port for those without a certificate. */
export async function enrol(rig: Rig, joinToken: string, { key, request } = asked(joinToken)): Promise<Enrolled> {
  const client = openAnonymousChannel(`127.0.0.1:${rig.apiPort}`, rig.parties.authority.ca, localhost);
  const credential = { case: 'joinToken' as const, value: joinToken };
  try {
    const { certificate, trustBundle } = await connect(EnrolmentService, client).enrol({ credential, ...request });
    return { ca: rig.parties.authority.ca, certificate: Buffer.from(certificate), key, bundle: trustBundle };
  } finally {
    client.close();
  }
}

/** Renews on the port of the agents, with a certificate that is shown to it. */
export async function renew(rig: Rig, identity: TlsIdentity, shown = ''): Promise<Enrolled> {
  const { key, request } = asked(shown);
  const { certificate, trustBundle } = await connect(EnrolmentService, rig.channel(identity)).enrol(request);
  return { ca: identity.ca, certificate: Buffer.from(certificate), key, bundle: trustBundle };
}

/** The certificate of a node, of the collector's own authority. */
export async function joined(rig: Rig, nodeName = 'n7'): Promise<Enrolled> {
  const operator = connect(EnrolmentService, rig.channel(rig.parties.operator));
  return await enrol(rig, (await operator.createJoinToken({ nodeName, nodeUid: `uid-${nodeName}` })).token);
}
