import { createHash, generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { openAnonymousChannel, openChannel, type TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { reach } from '../reach.ts';
import { agentVersion } from '../version.ts';

/** Where an agent gets its certificate, and by what. */
export interface EnrolmentPlace {
  /** host:port of the collector's api. */
  readonly enrol: string;
  readonly tokenFile: string;
  readonly caFile: string;
}

/** The collector's api, as it is asked for a first certificate. */
export interface EnrolmentServer {
  /** host:port. */
  readonly address: string;
  /** PEM of the authorities that its certificate may come from. */
  readonly ca: Buffer;
  /** In its certificate; undefined: as in the address. */
  readonly serverName: string | undefined;
}

/** What is shown for a certificate: a token of the pod's service account, or one that works once. */
export interface Credential {
  readonly case: 'serviceAccountToken' | 'joinToken';
  readonly value: string;
}

/** A certificate with its key, and what it says. */
export interface Enrolled extends Pick<TlsIdentity, 'certificate' | 'key'> {
  /** spiffe://kcorder/node/NAME/UID. */
  readonly uri: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** PEM of every authority that a collector's certificate may come from. */
  readonly trustBundle: string;
}

interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const proofContext = 'kcorder enrolment v1\n';
/** How Node prints the alternative names of a certificate that has this one and no other. */
const onlyNodeUri = /^URI:(spiffe:\/\/kcorder\/node\/[a-z0-9][a-z0-9.-]{0,252}\/[A-Za-z0-9-]{1,64})$/;

/** Reads the credential as it is now: the kubelet changes it every few minutes. Throws unavailable. */
export function readCredential(path: string): Credential {
  let value: string;
  try {
    value = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new Fault(
      'unavailable',
      `there is no token to enrol with: ${path}: ${cause instanceof Error ? cause.message : cause}`,
      { cause },
    );
  }
  if (value === '') throw new Fault('unavailable', `there is no token to enrol with: ${path} is empty`);
  return { case: value.startsWith('kcj_') ? 'joinToken' : 'serviceAccountToken', value };
}

/**
 * Asks for a certificate for a key, a new one unless told otherwise. Throws the call's fault, and integrity_conflict when
 * the answer is not what was asked for.
 */
export async function enrolOnce(
  { address, ca, serverName }: EnrolmentServer,
  credential: Credential,
  signal: AbortSignal,
  pair: KeyPair = makePair(),
): Promise<Enrolled> {
  return await ask(openAnonymousChannel(address, ca, named(serverName)), credential, signal, pair);
}

/** Keeps the key that is shown with a join token: the collector takes the token again from the same key, should its answer be lost. */
export class JoinKey {
  #last: { readonly token: string; readonly pair: KeyPair } | undefined;

  /** Returns the same pair for the same join token, and another for any other credential. */
  pairFor(credential: Credential): KeyPair {
    if (credential.case !== 'joinToken') return makePair();
    if (this.#last?.token !== credential.value) this.#last = { token: credential.value, pair: makePair() };
    return this.#last.pair;
  }
}

const makePair = (): KeyPair => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/**
 * Asks for the next certificate by the present one, and by the credential beside it where there is one. It has a connection of its own: the one of the agent's calls may have begun with a certificate
 * that has expired since. Throws as `enrolOnce` does.
 */
export async function renewOnce(
  address: string,
  present: TlsIdentity,
  credential: Credential | undefined,
  serverName: string | undefined,
  signal: AbortSignal,
): Promise<Enrolled> {
  const renewed = await ask(openChannel(address, present, named(serverName)), credential, signal, makePair());
  const { subjectAltName } = new X509Certificate(present.certificate);
  if (subjectAltName !== `URI:${renewed.uri}`)
    throw unusable(`it is for ${renewed.uri} instead of "${subjectAltName}"`);
  return renewed;
}

const named = (serverName: string | undefined) => (serverName === undefined ? {} : { serverName });

type Channel = ReturnType<typeof openChannel>;

async function ask(
  channel: Channel,
  credential: Credential | undefined,
  signal: AbortSignal,
  { publicKey, privateKey }: KeyPair,
): Promise<Enrolled> {
  const shown = createHash('sha256')
    .update(credential?.value ?? '')
    .digest();
  const request = {
    ...(credential && { credential }),
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    proof: sign('sha256', Buffer.concat([Buffer.from(proofContext), shown]), privateKey),
    agentVersion,
  };
  try {
    await reach(channel, signal);
    const { certificate, trustBundle } = await connect(EnrolmentService, channel).enrol(request, { signal });
    return { ...checked(certificate, privateKey), trustBundle };
  } finally {
    channel.close();
  }
}

function checked(pem: string, privateKey: KeyObject): Omit<Enrolled, 'trustBundle'> {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(pem);
  } catch (cause) {
    throw unusable('it is no certificate', cause);
  }
  if (!parsed.checkPrivateKey(privateKey)) throw unusable('it is for the key of another');
  const names = parsed.subjectAltName ?? '';
  const uri = onlyNodeUri.exec(names)?.[1];
  if (uri === undefined) throw unusable(`it must name one node and nothing else, but names "${names}"`);
  const [notBefore, notAfter] = [parsed.validFromDate, parsed.validToDate];
  if (notAfter <= notBefore) throw unusable('it holds for no time at all');
  const key = Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return { certificate: Buffer.from(pem), key, uri, notBefore, notAfter };
}

function unusable(why: string, cause?: unknown): Fault {
  return new Fault('integrity_conflict', `the collector answered with a certificate that cannot be used: ${why}`, {
    cause,
  });
}
