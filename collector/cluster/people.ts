import { createHash } from 'node:crypto';
import { Fault } from '@kcorder/proto/fault.ts';
import { group } from '@kcorder/proto/rights/roles.ts';
import type { V1ResourceAttributes, V1TokenReviewStatus } from '@kubernetes/client-node';
import { type Asking, type Deed, holderOf, type Person, type Reviewer } from '../identity/person.ts';
import { audience } from './agent-tokens.ts';
import { ask, type Cluster, reasonOf } from './client.ts';
import { Reviews } from './reviews.ts';
import { type ReviewEnding, Strangers } from './strangers.ts';

const rememberMs = 10_000;
/** Somebody who was recognised within this time has reviews kept for them, however many strangers come. */
const knownMs = 3_600_000;
const mostRemembered = 1_000;
/** Whoever can show one good token can show any number of them. */
const mostOfHolder = 16;
const refusedMs = 5_000;
const largestToken = 16 << 10;

/**
 * People by the API server's word: TokenReview says who it is, SubjectAccessReview what they may. A token that nobody vouches for is not asked for
 * again for five seconds, and whoever shows many of them waits; others do not pay for it.
 */
export class ClusterReviewer implements Reviewer {
  readonly #cluster: Cluster;
  readonly #known = new Map<string, { person: Person; atMs: number }>();
  readonly #refused = new Map<string, { reason: Error | undefined; untilMs: number }>();
  readonly #reviews = new Reviews();
  // Each failure is two questions to the API server.
  readonly #strangers = new Strangers();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async authenticate(token: string, host: string, asking: Asking = 'call'): Promise<Person> {
    if (token === '' || token.length > largestToken) throw nobody();
    const key = createHash('sha256').update(token).digest('hex');
    const nowMs = performance.now();
    const known = this.#known.get(key);
    if (known !== undefined && nowMs - known.atMs < rememberMs) return known.person;
    const refused = this.#refused.get(key);
    if (refused !== undefined && refused.untilMs > nowMs) throw nobody(refused.reason);
    const person = known !== undefined && nowMs - known.atMs <= knownMs ? known.person : undefined;
    return await this.#reviews.once(`${asking} ${key}`, async () => {
      // A stream that goes on was let in once, and its owner's address may have a bad name by now.
      const isStranger = person === undefined && asking === 'call';
      const over = isStranger ? this.#strangers.enter(host) : () => undefined;
      return await this.#ask(token, key, over, this.#bound(asking, person));
    });
  }

  async #ask(token: string, key: string, over: (ending: ReviewEnding) => void, bounded: Bounded): Promise<Person> {
    let ending: ReviewEnding = 'unpaid';
    try {
      const { person, reason } = await bounded(() => this.#reviewBoth(token));
      if (person !== undefined) {
        this.#remember(key, person);
        return person;
      }
      ending = reason === undefined ? 'refused' : 'unclear';
      // In an outage, whoever was known does not become a stranger.
      if (reason === undefined) this.#known.delete(key);
      remember(this.#refused, key, { reason, untilMs: performance.now() + refusedMs });
      throw nobody(reason);
    } finally {
      over(ending);
    }
  }

  #remember(key: string, person: Person): void {
    remember(this.#known, key, { person, atMs: performance.now() });
    const holder = holderOf(person.name);
    const own = [...this.#known].filter(([, known]) => holderOf(known.person.name) === holder);
    for (const [oldest] of own.slice(0, -mostOfHolder)) this.#known.delete(oldest);
  }

  /** Tries it as a token made for us first: it is worth nothing anywhere else. Then as one that is meant for the API server itself. */
  async #reviewBoth(token: string): Promise<{ person?: Person; reason?: Error }> {
    const errors = new Set<string>();
    for (const audiences of [[audience], undefined]) {
      const status = await this.#review(token, audiences);
      const person = personOf(status, audiences);
      if (person !== undefined) return { person };
      if (status?.error) errors.add(status.error);
    }
    const reason = reasonOf([...errors].join('; '));
    return reason === undefined ? {} : { reason };
  }

  async refusal(person: Person, { resource, verb, name }: Deed, asking: Asking = 'call'): Promise<Fault | undefined> {
    const object = name === '' ? `${resource}.${group}` : `${resource}.${group} "${name}"`;
    const attributes = { group, resource, verb, ...(name === '' ? {} : { name }) };
    const advice = "bind a role that has this verb, such as one of the chart's cluster roles";
    return await this.#denial(person, attributes, { deed: `${verb} ${object}`, advice, asking });
  }

  async podsRefusal(person: Person, namespace: string): Promise<Fault | undefined> {
    const where = namespace === '' ? 'in all namespaces' : `in namespace ${namespace}`;
    const attributes = { resource: 'pods', verb: 'list', ...(namespace === '' ? {} : { namespace }) };
    const advice = 'bind a role there that has this verb, such as view, or name the node';
    return await this.#denial(person, attributes, { deed: `list pods ${where}`, advice, asking: 'call' });
  }

  /** Undefined when allowed. The authorizer's reason is for the caller; why it could not tell is for the log alone. */
  async #denial(
    person: Person,
    resourceAttributes: V1ResourceAttributes,
    { deed, advice, asking }: { deed: string; advice: string; asking: Asking },
  ): Promise<Fault | undefined> {
    const { name: user, uid, groups, extra } = person;
    const body = { spec: { user, uid, groups: [...groups], extra: mutable(extra), resourceAttributes } };
    const review = await this.#reviews.once(`${asking} ${JSON.stringify(body)}`, () =>
      this.#bound(
        asking,
        person,
      )(() =>
        ask(
          "review somebody's rights (create subjectaccessreviews)",
          this.#cluster.authorization.createSubjectAccessReview({ body }),
        ),
      ),
    );
    const status = review?.status;
    if (status?.allowed === true) return undefined;
    const why = status?.reason ? ` (${status.reason})` : '';
    return new Fault('permission_denied', `${user} may not ${deed}${why}: ${advice}`, {
      cause: reasonOf(status?.evaluationError),
    });
  }

  async #review(token: string, audiences: string[] | undefined): Promise<V1TokenReviewStatus | undefined> {
    const spec = audiences === undefined ? { token } : { token, audiences };
    const review = await ask(
      'review a token (create tokenreviews)',
      this.#cluster.authentication.createTokenReview({ body: { spec } }),
    );
    return review?.status;
  }

  /** Strangers have a bound of their own. */
  #bound(asking: Asking, person: Person | undefined): Bounded {
    const holder = person === undefined ? '' : holderOf(person.name);
    if (asking === 'stream') return (question) => this.#reviews.ofStream(holder, question);
    return (question) => this.#reviews.ofCall(holder, question);
  }
}

/** Runs a question when there is a place for it. */
type Bounded = <T>(question: () => Promise<T>) => Promise<T>;

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
  if (status?.authenticated !== true || typeof user?.username !== 'string' || user.username === '') return undefined;
  if (audiences !== undefined && !audiences.some((wanted) => status.audiences?.includes(wanted))) return undefined;
  return { name: user.username, uid: user.uid ?? '', groups: user.groups ?? [], extra: user.extra ?? {} };
}

const mutable = (extra: Person['extra']): Record<string, string[]> =>
  Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]]));

const nobody = (cause?: Error): Fault =>
  new Fault('unauthenticated', 'the API server does not vouch for this token: log in again, or ask for a new token', {
    cause,
  });
