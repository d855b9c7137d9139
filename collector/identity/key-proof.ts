import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { Fault } from '@kcorder/proto/fault.ts';

const context = 'kcorder enrolment v1\n';
const largestKeyBytes = 256;

/**
 * Checks that whoever shows the credential holds the key beside it: see EnrolRequest.proof of the contract. Throws invalid_argument for
 * any key but one on P-256, and for a proof that is none.
 */
export function checkKeyProof(credential: string, publicKey: Uint8Array, proof: Uint8Array): void {
  const key = parse(publicKey);
  if (key?.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new Fault('invalid_argument', 'public_key is not the DER of an EC P-256 key: use an agent of this release');
  }
  const message = Buffer.concat([Buffer.from(context), createHash('sha256').update(credential).digest()]);
  if (!verify('sha256', message, key, proof)) {
    throw new Fault('invalid_argument', 'the proof was not made with public_key: use an agent of this release');
  }
}

function parse(publicKey: Uint8Array): KeyObject | undefined {
  if (publicKey.length > largestKeyBytes) return undefined;
  try {
    return createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
