import { X509Certificate } from 'node:crypto';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { NodeIdentity } from '../capture/capture.ts';
import type { Authority, IssuedCertificate } from './authority.ts';
import { checkOwnCertificate } from './enrolment-certificate.ts';
import { checkKeyProof } from './key-proof.ts';
import { Pace, Paces } from './pace.ts';

/** Whose agent a credential is: its node, and what it was shown by. */
export interface Bearer {
  readonly node: NodeIdentity;
  /** For the records: the pod's name and uid, or the join token's number. */
  readonly shownBy: Readonly<Record<string, string>>;
  /** Two bearers of one holder are the same agent. */
  readonly holder: string;
}

/** Checks one kind of credential. Throws unauthenticated with what is wrong with it, cluster_unavailable. */
export type CredentialCheck = (credential: string) => Promise<Bearer>;

/** What comes with every request for a certificate. */
interface Asked {
  readonly publicKey: Uint8Array;
  readonly proof: Uint8Array;
  readonly agentVersion: string;
  /** Address of the caller. */
  readonly peer: string;
}

/** A request to enrol, as it came over the wire. */
export interface Application extends Asked {
  readonly kind: 'service_account' | 'join';
  readonly credential: string;
}

/** A request to renew, by the certificate that is to be followed by another. */
export interface Renewal extends Asked {
  /** DER of the peer's certificate, whose key the TLS handshake has proven. */
  readonly certificate: Uint8Array;
  /** The node that a certificate's alternative names say. Throws when they say something else. */
  nodeOf(names: string): NodeIdentity;
}

/** What enrolling works with. */
export interface EnrolmentMeans {
  readonly authority: Authority;
  /** A kind without a check is refused. */
  readonly checks: { readonly service_account?: CredentialCheck; readonly join?: CredentialCheck };
  /** Whether a certificate of this authority is enough to get the next one. */
  readonly renewsByCertificate?: boolean;
  /** Puts something on record; throws when it cannot. */
  record(actor: string, action: 'enrolled' | 'enrolment_refused', detail: unknown): void;
}

const largestCredential = 16 << 10;
/** Checks that may run at once: each is several questions to the API server. */
const largestRunning = 32;

/** Gives certificates to agents that can show whose they are. Every answer is on record, also each refusal of a credential. */
export class Enrolment {
  readonly #means: EnrolmentMeans;
  // A whole fleet may come at once after a restart of the collector; strangers may not fill the records.
  readonly #all = new Pace(500, 20, performance.now());
  readonly #refusals = new Pace(60, 1_000, performance.now());
  readonly #holders = new Paces(3, 60_000);
  #running = 0;

  constructor(means: EnrolmentMeans) {
    this.#means = means;
  }

  /** Throws invalid_argument, unauthenticated, cluster_unavailable, resource_exhausted. */
  async enrol(application: Application): Promise<IssuedCertificate> {
    const { kind, credential, agentVersion, peer } = application;
    if (credential === '' || credential.length > largestCredential)
      throw new Fault('invalid_argument', `a credential has 1 to ${largestCredential} characters`);
    checkKeyProof(credential, application.publicKey, application.proof);
    const { bearer, issued } = await this.#issue(application, kind, async () => await this.#check(application));
    const { node, shownBy } = bearer;
    const notAfter = issued.notAfter.toISOString();
    this.#means.record(`node/${node.name}`, 'enrolled', { node, ...shownBy, peer, agentVersion, notAfter });
    return issued;
  }

  /**
   * Issues the next certificate for the node of one that holds. A refusal is put on record here, what was issued by the caller. Throws
   * invalid_argument, unauthenticated, permission_denied, resource_exhausted.
   */
  async renew(renewal: Renewal): Promise<{ node: NodeIdentity; issued: IssuedCertificate }> {
    checkKeyProof('', renewal.publicKey, renewal.proof);
    const { bearer, issued } = await this.#issue(renewal, 'certificate', async () => this.#checkCertificate(renewal));
    return { node: bearer.node, issued };
  }

  async #issue(
    { publicKey, peer }: Asked,
    kind: Application['kind'] | 'certificate',
    check: () => Promise<Bearer>,
  ): Promise<{ bearer: Bearer; issued: IssuedCertificate }> {
    if (this.#running >= largestRunning) throw tooMany(1_000);
    const waitMs = this.#all.take(performance.now());
    if (waitMs !== undefined) throw tooMany(waitMs);
    this.#running += 1;
    try {
      const bearer = await check().catch((error: unknown) => this.#refuse(error, kind, peer));
      const holderWaitMs = this.#holders.take(bearer.holder);
      if (holderWaitMs !== undefined) throw tooMany(holderWaitMs, `the agent of node ${bearer.node.name}`);
      return { bearer, issued: await this.#means.authority.issueNode(bearer.node, publicKey) };
    } finally {
      this.#running -= 1;
    }
  }

  async #check({ kind, credential }: Application): Promise<Bearer> {
    const check = this.#means.checks[kind];
    if (check !== undefined) return await check(credential);
    const [what, setting] =
      kind === 'join' ? ['join tokens', 'KCORDER_JOIN_TOKENS'] : ['tokens of service accounts', 'KCORDER_AUTHORITY'];
    throw new Fault('unauthenticated', `this collector takes no ${what}: see ${setting} in its documentation`);
  }

  #checkCertificate({ certificate, nodeOf }: Renewal): Bearer {
    const { renewsByCertificate, authority } = this.#means;
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

  #refuse(error: unknown, kind: string, peer: string): never {
    const fault = Fault.from(error);
    // In a flood the first minute of it is on record; the counter of the calls' endings has all of them.
    if (this.#refusals.take(performance.now()) === undefined) {
      const causes = fault.cause === undefined ? [] : causeChain(fault.cause);
      const detail = { kind, peer, code: fault.code, why: fault.message, causes };
      this.#means.record('unknown', 'enrolment_refused', detail);
    }
    throw fault;
  }
}

function tooMany(waitMs: number, who = 'so many agents'): Fault {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  return new Fault('resource_exhausted', `${who} cannot enrol so often: come again in ${seconds} s`);
}
