import { Fault } from '@kcorder/proto/fault.ts';
import type { NodeIdentity } from '../capture/capture.ts';
import { holderOf } from '../identity/person.ts';

/** Who is at the other end: by the certificate that was verified, or by the token that the cluster vouches for, and by nothing else. */
export type Identity =
  | ({ readonly kind: 'node' } & NodeIdentity)
  | { readonly kind: 'operator'; readonly name: string }
  | { readonly kind: 'user'; readonly name: string };

const nodePattern = /^spiffe:\/\/kcorder\/node\/([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)\/([A-Za-z0-9-]{1,64})$/;

/** Whether a certificate can name this node. */
export const isNodeName = (name: string): boolean => nodePattern.test(`spiffe://kcorder/node/${name}/x`);
export const isNodeUid = (uid: string): boolean => nodePattern.test(`spiffe://kcorder/node/x/${uid}`);

const operatorPattern = /^spiffe:\/\/kcorder\/operator\/([A-Za-z0-9._@-]{1,128})$/;

/**
 * The identity in a certificate's subject alternative names, as Node prints them ("URI:…, DNS:…"). Throws unauthenticated unless
 * there is exactly one URI and it is one of ours.
 */
export function identityOf(peerNames: string): Identity {
  // Node quotes a name that carries a comma: such a name could hold what looks like another one, and none of ours needs it.
  const uris = peerNames.includes('"') ? [] : peerNames.split(', ').filter((name) => name.startsWith('URI:'));
  const uri = uris.length === 1 ? uris[0]?.slice(4) : undefined;
  const node = nodePattern.exec(uri ?? '');
  if (node?.[1] !== undefined && node[2] !== undefined) return { kind: 'node', name: node[1], uid: node[2] };
  const operator = operatorPattern.exec(uri ?? '');
  if (operator?.[1] !== undefined) return { kind: 'operator', name: operator[1] };
  throw new Fault(
    'unauthenticated',
    'the client certificate names no kcorder identity: use one that the authority of this collector issued',
  );
}

/** For the records: node/NAME, operator/NAME (by certificate) or user/NAME (by token). */
export const actorOf = (identity: Identity): string => `${identity.kind}/${identity.name}`;

/** By whom connections, calls and what they cost are counted. */
export const payerOf = (identity: Identity): string =>
  identity.kind === 'node' ? `${actorOf(identity)}/${identity.uid}` : `${identity.kind}/${holderOf(identity.name)}`;
