import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { NodeIdentity } from '../capture/capture.ts';
import type { Authority, IssuedCertificate } from './authority.ts';
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

/** A request to enrol, as it came over the wire. */
export interface Application {
  readonly kind: 'service_account' | 'join';
  readonly credential: string;
  readonly publicKey: Uint8Array;
  readonly proof: Uint8Array;
  readonly agentVersion: string;
  /** Address of the caller. */
  readonly peer: string;
}

/** What enrolling works with. */
export interface EnrolmentMeans {
  readonly authority: Authority;
  /** A kind without a check is refused. */
  readonly checks: { readonly service_account?: CredentialCheck; readonly join?: CredentialCheck };
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
    const { credential, publicKey, proof } = application;
    if (credential === '' || credential.length > largestCredential)
      throw new Fault('invalid_argument', `a credential has 1 to ${largestCredential} characters`);
    checkKeyProof(credential, publicKey, proof);
    if (this.#running >= largestRunning) throw tooMany(1_000);
    const waitMs = this.#all.take(performance.now());
    if (waitMs !== undefined) throw tooMany(waitMs);
    this.#running += 1;
    try {
      const { node, shownBy, holder } = await this.#check(application);
      const holderWaitMs = this.#holders.take(holder);
      if (holderWaitMs !== undefined) throw tooMany(holderWaitMs, `the agent of node ${node.name}`);
      const issued = await this.#means.authority.issueNode(node, publicKey);
      const { agentVersion, peer } = application;
      const notAfter = issued.notAfter.toISOString();
      this.#means.record(`node/${node.name}`, 'enrolled', { node, ...shownBy, peer, agentVersion, notAfter });
      return issued;
    } finally {
      this.#running -= 1;
    }
  }

  async #check(application: Application): Promise<Bearer> {
    const { kind, credential, peer } = application;
    try {
      const check = this.#means.checks[kind];
      if (check === undefined) {
        const what = kind === 'join' ? 'join tokens' : 'tokens of service accounts';
        throw new Fault(
          'unauthenticated',
          `this collector takes no ${what}: see KCORDER_AUTHORITY in its documentation`,
        );
      }
      return await check(credential);
    } catch (error) {
      const fault = Fault.from(error);
      // In a flood the first minute of it is on record; the counter of the calls' endings has all of them.
      if (this.#refusals.take(performance.now()) === undefined) {
        const causes = fault.cause === undefined ? [] : causeChain(fault.cause);
        this.#means.record('unknown', 'enrolment_refused', {
          kind,
          peer,
          code: fault.code,
          why: fault.message,
          causes,
        });
      }
      throw fault;
    }
  }
}

function tooMany(waitMs: number, who = 'so many agents'): Fault {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  return new Fault('resource_exhausted', `${who} cannot enrol so often: come again in ${seconds} s`);
}
