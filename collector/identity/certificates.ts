import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto';
// The decorators of the certificate library need it, and it must come first.
import 'reflect-metadata';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** A certificate with its key, both PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** The time that a certificate holds for. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** Makes an authority of its own: EC P-256, one level, good for nothing but signing leaves (RFC 5280, sections 4.2.1.3 and 4.2.1.9). */
export async function makeAuthorityPair(name: string, validity: Validity): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=${name}`,
    ...validity,
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await pemOf(keys.privateKey) };
}

/** Issues a client certificate for somebody's public key (DER of SubjectPublicKeyInfo), which names the URI and nothing else. PEM. */
export async function issueClient(
  authority: KeyPair,
  uri: string,
  publicKey: Uint8Array,
  validity: Validity,
): Promise<string> {
  const key = new PublicKey(Uint8Array.from(publicKey));
  return await issue(authority, key, [{ type: 'url', value: uri }], ExtendedKeyUsage.clientAuth, validity);
}

/** Makes a key and issues a server certificate for DNS names and IP addresses. */
export async function issueServer(
  authority: KeyPair,
  names: readonly string[],
  addresses: readonly string[],
  validity: Validity,
): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const alternatives: JsonGeneralName[] = [
    ...names.map((value) => ({ type: 'dns', value }) as const),
    ...addresses.map((value) => ({ type: 'ip', value }) as const),
  ];
  const key = await PublicKey.create(keys.publicKey);
  const certificate = await issue(authority, key, alternatives, ExtendedKeyUsage.serverAuth, validity);
  return { certificate, key: await pemOf(keys.privateKey) };
}

async function issue(
  authority: KeyPair,
  publicKey: PublicKey,
  names: JsonGeneralName[],
  usage: ExtendedKeyUsage,
  validity: Validity,
): Promise<string> {
  const issuer = new X509Certificate(authority.certificate);
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    createPrivateKey(authority.key).export({ format: 'der', type: 'pkcs8' }),
    algorithm,
    false,
    ['sign'],
  );
  const extensions: Extension[] = [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([usage]),
    // Critical, since the subject is empty (RFC 5280, section 4.2.1.6).
    new SubjectAlternativeNameExtension(names, true),
    await AuthorityKeyIdentifierExtension.create(issuer),
  ];
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: '',
    issuer: issuer.subject,
    ...validity,
    publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    extensions,
  });
  return certificate.toString('pem');
}

/** 127 random bits: positive, and never the same twice. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const pem = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' });
  return pem.toString();
}
