import type { X509Certificate } from 'node:crypto';
import { Fault } from '@kcorder/proto/fault.ts';
import type { NodeIdentity } from '../capture/capture.ts';
import { certificatesOf } from './pem.ts';

/**
 * Checks that one of the authorities (PEM) issued a node's certificate, and that it holds now: a connection that stands may have outlived it. Throws
 * unauthenticated.
 */
export function checkOwnCertificate(
  certificate: X509Certificate,
  { name }: NodeIdentity,
  authorities: string,
  nowMs: number = Date.now(),
): void {
  const isOwn = certificatesOf(authorities).some(
    (authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
  );
  if (!isOwn)
    throw new Fault(
      'unauthenticated',
      `the certificate of node ${name} is not of this collector's own authority: renew it where it comes from, or enrol with another token of \`kcorder join-token create\``,
    );
  if (certificate.validToDate.getTime() > nowMs && certificate.validFromDate.getTime() <= nowMs) return;
  throw new Fault(
    'unauthenticated',
    `the certificate of node ${name} held from ${certificate.validFromDate.toISOString()} to ${certificate.validToDate.toISOString()}, and not now: enrol with another token of \`kcorder join-token create\``,
  );
}
