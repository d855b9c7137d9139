// Why it is done this way: docs/decisions/016-enrolment.md

import { X509Certificate } from 'node:crypto';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { NodeIdentity } from '../capture/capture.ts';
import type { Authority, IssuedCertificate } from './authority.ts';
import { checkOwnCertificate } from './enrolment-certificate.ts';
import { checkKeyProof } from './key-proof.ts';
import { addressOf } from './network.ts';
import { Pace, Paces } from './pace.ts';

/** Whose agent a credential is: its node, and what it was shown by. */
export interface Bearer {
  readonly node: NodeIdentity;
  /** For the records: the pod's name and uid, or the join token's number. */
  readonly shownBy: Readonly<Record<string, string>>;
  /** Two bearers of one holder are the same agent. */
  readonly holder: string;
}

/** Checks one kind of credential, shown by the holder of a key. Throws unauthenticated with what is wrong with it, cluster_unavailable. */
export type CredentialCheck = (credential: string, publicKey: Uint8Array) => Promise<Bearer>;

/** What comes with every request for a certificate. */
interface Asked {
  readonly publicKey: Uint8Array;
  readonly proof: Uint8Array;
  readonly agentVersion: string;
  /** Address of the caller. */
  readonly peer: string;
}

/** The certificate that a caller has shown. */
export interface ShownCertificate {
  /** DER; the TLS handshake has proven its key, and it holds at this moment. */
  readonly certificate: Uint8Array;
  /** The node that a certificate's alternative names say. Throws when they say something else. */
  nodeOf(names: string): NodeIdentity;
}

/** A request to enrol, as it came over the wire. */
export interface Application extends Asked {
  readonly kind: 'service_account' | 'join';
  readonly credential: string;
  /** Unset where none was shown. */
  readonly beside?: ShownCertificate;
}

/** A request to renew, by the certificate that is to be followed by another. */
export interface Renewal extends Asked, ShownCertificate {}

/** What is shown for a certificate, and who pays when it is not good: an address, or the names of a proven certificate. */
interface Shown {
  readonly kind: Kind;
  readonly credential: string;
  readonly payer: string;
}

/** What enrolling works with. */
export interface EnrolmentDeps {
  readonly authority: Authority;
  /** A kind without a check is refused. */
  readonly checks: { readonly service_account?: CredentialCheck; readonly join?: CredentialCheck };
  /** Whether a certificate of this authority is enough to get the next one. */
  readonly renewsByCertificate?: boolean;
  /** Puts something on record; throws when it cannot. */
  record(actor: string, action: 'enrolled' | 'enrolment_refused', detail: unknown): void;
}

const largestCredential = 16 << 10;
type Kind = Application['kind'] | 'certificate';
/**
 * Checks of a kind that may run at once: each is several questions to the API server. Without a certificate, half is
 * for places that an agent has enrolled from.
 */
const largestRunning = 64;
const mostPlaces = 10_000;

/** Gives certificates to agents that can show whose they are. Every answer is on record, also each refusal of a credential. */
export class Enrolment {
  readonly #deps: EnrolmentDeps;
  // Strangers may not fill the records.
  readonly #refusals = new Pace(60, 1_000, performance.now());
  // Only what fails is charged, to where it came from: a whole fleet may come at once after a restart of the collector.
  readonly #failures: Readonly<Record<Kind, Paces>> = {
    service_account: new Paces(10, 2_000),
    join: new Paces(10, 2_000),
    certificate: new Paces(10, 2_000),
  };
  readonly #holders = new Paces(3, 60_000);
  /** Where agents have enrolled from, by kind, newest last. */
  readonly #places = new Set<string>();
  readonly #running: Record<Kind, number> = { service_account: 0, join: 0, certificate: 0 };
  /** Names of the certificates that are being renewed. */
  readonly #renewing = new Set<string>();

  constructor(deps: EnrolmentDeps) {
    this.#deps = deps;
  }

  /** Throws invalid_argument, unauthenticated, cluster_unavailable, resource_exhausted. */
  async enrol(application: Application): Promise<IssuedCertificate> {
    const { kind, credential, beside, agentVersion, peer } = application;
    if (credential === '' || credential.length > largestCredential)
      throw new Fault('invalid_argument', `a credential has 1 to ${largestCredential} characters`);
    const shown: Shown =
      beside === undefined
        ? { kind, credential, payer: addressOf(peer) }
        : { kind: 'certificate', credential, payer: namesOf(beside) };
    const { bearer, issued } = await this.#issue(application, shown, () => this.#check(application));
    const { node, shownBy } = bearer;
    const notAfter = issued.notAfter.toISOString();
    this.#deps.record(`node/${node.name}`, 'enrolled', { node, ...shownBy, peer, agentVersion, notAfter });
    return issued;
  }

  /**
   * Issues the next certificate for the node of one that holds. A refusal is put on record here, what was issued by the caller. Throws
   * invalid_argument, unauthenticated, permission_denied, resource_exhausted.
   */
  async renew(renewal: Renewal): Promise<{ node: NodeIdentity; issued: IssuedCertificate }> {
    const shown = { kind: 'certificate' as const, credential: '', payer: namesOf(renewal) };
    const { bearer, issued } = await this.#issue(renewal, shown, async () => this.#checkCertificate(renewal));
    return { node: bearer.node, issued };
  }

  async #issue(
    asked: Asked,
    shown: Shown,
    check: () => Promise<Bearer>,
  ): Promise<{ bearer: Bearer; issued: IssuedCertificate }> {
    const { kind, payer } = shown;
    const waitMs = this.#failures[kind].wait(payer) ?? (this.#hasRoom(shown) ? undefined : 1_000);
    if (waitMs !== undefined) throw tooMany(waitMs);
    this.#running[kind] += 1;
    if (kind === 'certificate') this.#renewing.add(payer);
    try {
      const bearer = await this.#bearerOf(asked, shown, check);
      if (kind !== 'certificate') this.#remember(`${kind} ${payer}`);
      const holderWaitMs = this.#holders.take(bearer.holder);
      if (holderWaitMs !== undefined) throw tooMany(holderWaitMs, `the agent of node ${bearer.node.name}`);
      return { bearer, issued: await this.#deps.authority.issueNode(bearer.node, asked.publicKey) };
    } finally {
      this.#running[kind] -= 1;
      if (kind === 'certificate') this.#renewing.delete(payer);
    }
  }

  #hasRoom({ kind, payer }: Shown): boolean {
    // One node needs one renewal at once, and may not hold the places of the others.
    if (kind === 'certificate') return this.#running[kind] < largestRunning && !this.#renewing.has(payer);
    return this.#running[kind] < (this.#places.has(`${kind} ${payer}`) ? largestRunning : largestRunning / 2);
  }

  async #bearerOf({ publicKey, proof, peer }: Asked, shown: Shown, check: () => Promise<Bearer>): Promise<Bearer> {
    const { kind, credential, payer } = shown;
    let isProven = false;
    try {
      checkKeyProof(credential, publicKey, proof);
      isProven = true;
      return await check();
    } catch (error) {
      const fault = Fault.from(error);
      // An API server that does not answer is nobody's fault who asks.
      if (fault.code !== 'cluster_unavailable') this.#failures[kind].take(payer);
      throw isProven ? this.#refused(fault, kind, peer) : fault;
    }
  }

  #remember(place: string): void {
    this.#places.delete(place);
    this.#places.add(place);
    if (this.#places.size > mostPlaces) for (const oldest of this.#places) return void this.#places.delete(oldest);
  }

  async #check({ kind, credential, beside, publicKey }: Application): Promise<Bearer> {
    const renewed = beside?.nodeOf(namesOf(beside));
    const check = this.#deps.checks[kind];
    if (check !== undefined) {
      const bearer = await check(credential, publicKey);
      if (renewed !== undefined) checkSameNode(renewed, bearer.node);
      return bearer;
    }
    const [what, setting] =
      kind === 'join' ? ['join tokens', 'KCORDER_JOIN_TOKENS'] : ['tokens of service accounts', 'KCORDER_AUTHORITY'];
    throw new Fault('unauthenticated', `this collector takes no ${what}: see ${setting} in its documentation`);
  }

  #checkCertificate({ certificate, nodeOf }: Renewal): Bearer {
    const { renewsByCertificate, authority } = this.#deps;
    if (renewsByCertificate !== true)
      throw new Fault(
        'unauthenticated',
        'the collector of a cluster renews no certificate by itself: show the projected token of the pod each time, or, outside of the cluster, another token of `kcorder join-token create`',
      );
    const shown = new X509Certificate(certificate);
    const node = nodeOf(shown.subjectAltName ?? '');
    checkOwnCertificate(shown, node, authority.bundle);
    return { node, shownBy: {}, holder: `node/${node.uid}` };
  }

  #refused(fault: Fault, kind: string, peer: string): Fault {
    // In a flood the first minute of it is on record; the counter of the calls' endings has all of them.
    if (this.#refusals.take(performance.now()) === undefined) {
      const causes = causeChain(fault.cause);
      const detail = { kind, peer, code: fault.code, why: fault.message, causes };
      this.#deps.record('unknown', 'enrolment_refused', detail);
    }
    return fault;
  }
}

/** The names by which the holder of a certificate is counted, wherever it comes from. */
const namesOf = ({ certificate }: ShownCertificate): string => new X509Certificate(certificate).subjectAltName ?? '';

/**
 * Checks that a credential is of the node whose certificate it came with: a node pays for its own renewal only, and
 * whoever has the credential of another node can show it alone. Throws unauthenticated.
 */
function checkSameNode(renewed: NodeIdentity, proven: NodeIdentity): void {
  if (renewed.name === proven.name && renewed.uid === proven.uid) return;
  throw new Fault(
    'unauthenticated',
    `the certificate was not renewed: it is of node ${renewed.name} (${renewed.uid}), and the token of node ${proven.name} (${proven.uid}). Show the token alone, on the port for enrolment`,
  );
}

function tooMany(waitMs: number, who = 'so many agents'): Fault {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  return new Fault('resource_exhausted', `${who} cannot enrol so often: come again in ${seconds} s`, {
    retryAfterMs: seconds * 1_000,
  });
}
