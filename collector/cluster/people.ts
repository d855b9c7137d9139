import { createHash } from 'node:crypto';
import { Fault } from '@kcorder/proto/fault.ts';
import type { V1ResourceAttributes, V1TokenReviewStatus } from '@kubernetes/client-node';
import { type Deed, group, type Person, type Reviewer } from '../identity/person.ts';
import { audience } from './agent-tokens.ts';
import { ask, type Cluster } from './client.ts';
import { Strangers } from './strangers.ts';

const rememberMs = 10_000;
/** Somebody who was recognised within this time has reviews kept for them, however many strangers come. */
const knownMs = 3_600_000;
const mostRemembered = 1_000;
const mostRunning = 64;
const refusedMs = 5_000;
const largestToken = 16 << 10;

/**
 * People by the API server's word: TokenReview says who it is, SubjectAccessReview what they may. A token that nobody vouches for is not asked for
 * again for five seconds, and whoever shows many of them waits; others do not pay for it.
 */
export class ClusterReviewer implements Reviewer {
  readonly #cluster: Cluster;
  readonly #known = new Map<string, { person: Person; atMs: number }>();
  readonly #refused = new Map<string, number>();
  readonly #underway = new Map<string, Promise<Person | undefined>>();
  // Each failure is two questions to the API server.
  readonly #strangers = new Strangers();
  #running = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async authenticate(token: string, host: string): Promise<Person> {
    if (token === '' || token.length > largestToken) throw nobody();
    const key = createHash('sha256').update(token).digest('hex');
    const nowMs = performance.now();
    const known = this.#known.get(key);
    if (known !== undefined && nowMs - known.atMs < rememberMs) return known.person;
    if ((this.#refused.get(key) ?? 0) > nowMs) throw nobody();
    const isStranger = known === undefined || nowMs - known.atMs > knownMs;
    const person = await (this.#underway.get(key) ?? this.#recognise(token, key, isStranger, host));
    if (person === undefined) throw nobody();
    return person;
  }

  /** Asks once for all that come with one token at once. */
  #recognise(token: string, key: string, isStranger: boolean, host: string): Promise<Person | undefined> {
    const over = isStranger ? this.#strangers.enter(host) : () => undefined;
    const asking = this.#ask(token, key, over).finally(() => this.#underway.delete(key));
    this.#underway.set(key, asking);
    return asking;
  }

  async #ask(token: string, key: string, over: (hasFailed: boolean) => void): Promise<Person | undefined> {
    let hasFailed = false;
    try {
      const person = await this.#bounded(async () => {
        // A token made for us first: it is worth nothing anywhere else. Then one that is meant for the API server itself.
        const ours = await this.#review(token, [audience]);
        return ours ?? (await this.#review(token, undefined));
      });
      const nowMs = performance.now();
      hasFailed = person === undefined;
      if (person === undefined) {
        this.#known.delete(key);
        remember(this.#refused, key, nowMs + refusedMs);
      } else remember(this.#known, key, { person, atMs: nowMs });
      return person;
    } finally {
      over(hasFailed);
    }
  }

  async refusal(person: Person, { resource, verb, name }: Deed): Promise<string | undefined> {
    const refused = await this.#denial(person, { group, resource, verb, ...(name === '' ? {} : { name }) });
    if (refused === undefined) return undefined;
    const what = name === '' ? `${resource}.${group}` : `${resource}.${group} "${name}"`;
    return `${person.name} may not ${verb} ${what}${refused}: bind a role that has this verb, such as one of the chart's cluster roles`;
  }

  async podsRefusal(person: Person, namespace: string): Promise<string | undefined> {
    const refused = await this.#denial(person, {
      resource: 'pods',
      verb: 'list',
      ...(namespace === '' ? {} : { namespace }),
    });
    if (refused === undefined) return undefined;
    const where = namespace === '' ? 'in all namespaces' : `in namespace ${namespace}`;
    return `${person.name} may not list pods ${where}${refused}: bind a role there that has this verb, such as view, or name the node`;
  }

  /** Undefined when allowed, else the authorizer's reason in parentheses, if it gave one. */
  async #denial(person: Person, resourceAttributes: V1ResourceAttributes): Promise<string | undefined> {
    const { name: user, uid, groups, extra } = person;
    const body = { spec: { user, uid, groups: [...groups], extra: mutable(extra), resourceAttributes } };
    const review = await this.#bounded(() =>
      ask(
        "review somebody's rights (create subjectaccessreviews)",
        this.#cluster.authorization.createSubjectAccessReview({ body }),
      ),
    );
    if (review?.status?.allowed === true) return undefined;
    return review?.status?.reason ? ` (${review.status.reason})` : '';
  }

  async #review(token: string, audiences: string[] | undefined): Promise<Person | undefined> {
    const spec = audiences === undefined ? { token } : { token, audiences };
    const review = await ask(
      'review a token (create tokenreviews)',
      this.#cluster.authentication.createTokenReview({ body: { spec } }),
    );
    return personOf(review?.status, audiences);
  }

  async #bounded<T>(question: () => Promise<T>): Promise<T> {
    if (this.#running >= mostRunning)
      throw new Fault('resource_exhausted', 'too many calls are being authorised at once: try again in a second', {
        retryAfterMs: 1_000,
      });
    this.#running += 1;
    try {
      return await question();
    } finally {
      this.#running -= 1;
    }
  }
}

/** What was noted first is forgotten first. */
function remember<V>(notes: Map<string, V>, key: string, value: V): void {
  notes.delete(key);
  notes.set(key, value);
  for (const oldest of notes.keys()) {
    if (notes.size <= mostRemembered) return;
    notes.delete(oldest);
  }
}

/** An empty list of audiences means that the authenticator does not know them, and is a refusal where one was asked for. */
function personOf(status: V1TokenReviewStatus | undefined, audiences: string[] | undefined): Person | undefined {
  const user = status?.user;
  if (status?.authenticated !== true || !user?.username) return undefined;
  if (audiences !== undefined && !audiences.some((wanted) => status.audiences?.includes(wanted))) return undefined;
  return { name: user.username, uid: user.uid ?? '', groups: user.groups ?? [], extra: user.extra ?? {} };
}

const mutable = (extra: Person['extra']): Record<string, string[]> =>
  Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]]));

const nobody = (): Fault =>
  new Fault('unauthenticated', 'the API server does not vouch for this token: log in again, or ask for a new token');
