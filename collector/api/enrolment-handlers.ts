import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { Handlers } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import type { NodeIdentity } from '../capture/capture.ts';
import type { Authority, IssuedCertificate } from '../identity/authority.ts';
import type { Enrolment } from '../identity/enrolment.ts';
import { callerOf } from './gate.ts';
import { actorOf, identityOf, isNodeName, isNodeUid } from './identity.ts';
import { validity } from './validity.ts';

/** The handlers of the enrolment service. */
export type EnrolmentHandlers = Handlers<typeof EnrolmentService>;

/** What the handlers reach; all of it is unset on a collector without an authority of its own. */
export interface EnrolmentHandlerDeps {
  readonly authority?: Authority;
  readonly enrolment?: Enrolment;
  /** Unset where none are taken. */
  readonly joinTokens?: { create(node: NodeIdentity, expiresAt: Date): string };
  record(actor: string, action: string, detail: unknown): void;
}

const joinMs = { usual: 10 * 60_000, most: 24 * 3_600_000 };

/** Makes the handlers. */
export function enrolmentHandlers({
  authority,
  enrolment,
  joinTokens,
  record,
}: EnrolmentHandlerDeps): EnrolmentHandlers {
  return {
    enrol: async ({ credential, publicKey, proof, agentVersion }, { peer, peerCertificate }) => {
      if (enrolment === undefined || authority === undefined) throw noAuthority();
      const asked = { publicKey, proof, agentVersion: agentVersion.slice(0, 64), peer };
      const shown = peerCertificate && { certificate: peerCertificate, nodeOf };
      let issued: IssuedCertificate;
      if (credential.case !== undefined) {
        const kind = credential.case === 'joinToken' ? 'join' : 'service_account';
        issued = await enrolment.enrol({
          kind,
          credential: credential.value,
          ...(shown && { beside: shown }),
          ...asked,
        });
      } else {
        if (shown === undefined) throw noCredential();
        const renewed = await enrolment.renew({ ...shown, ...asked });
        const { node } = renewed;
        issued = renewed.issued;
        const notAfter = issued.notAfter.toISOString();
        record(`node/${node.name}`, 'certificate_renewed', { node, peer, agentVersion: asked.agentVersion, notAfter });
      }
      return {
        certificate: issued.certificate,
        notBefore: timestampFromDate(issued.notBefore),
        notAfter: timestampFromDate(issued.notAfter),
        trustBundle: await authority.trustBundle(),
      };
    },
    createJoinToken: async ({ nodeName, nodeUid, validFor }, context) => {
      if (enrolment === undefined) throw noAuthority();
      if (joinTokens === undefined) throw noJoinTokens();
      if (!isNodeName(nodeName)) throw new Fault('invalid_argument', `node_name "${nodeName}" is no name of a node`);
      if (!isNodeUid(nodeUid))
        throw new Fault('invalid_argument', `node_uid "${nodeUid}" is not 1 to 64 letters, digits and dashes`);
      const expiresAt = validity(validFor, joinMs, 'a join token');
      const node = { name: nodeName, uid: nodeUid };
      record(actorOf(callerOf(context)), 'join_token_created', { node, expiresAt: expiresAt.toISOString() });
      return { token: joinTokens.create(node, expiresAt), expiresAt: timestampFromDate(expiresAt) };
    },
  };
}

function nodeOf(names: string): NodeIdentity {
  const identity = identityOf(names);
  if (identity.kind === 'node') return { name: identity.name, uid: identity.uid };
  throw new Fault(
    'permission_denied',
    `${actorOf(identity)} cannot renew a certificate here: only those of nodes are renewed`,
  );
}

const noCredential = (): Fault =>
  new Fault(
    'invalid_argument',
    'the credential is missing: an agent shows a token of its pod or a join token, or renews on the port of the agents with its certificate',
  );

const noJoinTokens = (): Fault =>
  new Fault(
    'unimplemented',
    'this collector takes no join tokens, so none is made: set KCORDER_JOIN_TOKENS=on, or joinTokens in the values of its chart, if agents run outside of the cluster',
  );

const noAuthority = (): Fault =>
  new Fault(
    'unimplemented',
    'this collector has no authority of its own: set KCORDER_AUTHORITY, or give agents certificates',
  );
