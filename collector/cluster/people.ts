import { createHash } from 'node:crypto';
import { Fault } from '@kcorder/proto/fault.ts';
import type { V1ResourceAttributes, V1TokenReviewStatus } from '@kubernetes/client-node';
import { type Deed, group, type Person, type Reviewer } from '../identity/person.ts';
import { audience } from './agent-tokens.ts';
import { ask, type Cluster } from './client.ts';

const rememberMs = 10_000;
const mostRemembered = 1_000;
const mostRunning = 64;
const largestToken = 16 << 10;

/** People by the API server's word: TokenReview says who it is, SubjectAccessReview what they may. Refusals are never remembered. */
export class ClusterReviewer implements Reviewer {
  readonly #cluster: Cluster;
  readonly #known = new Map<string, { person: Person; untilMs: number }>();
  #running = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async authenticate(token: string): Promise<Person> {
    if (token === '' || token.length > largestToken) throw nobody();
    const key = createHash('sha256').update(token).digest('hex');
    const known = this.#known.get(key);
    if (known !== undefined && known.untilMs > performance.now()) return known.person;
    const person = await this.#bounded(async () => {
      // A token made for us first: it is worth nothing anywhere else. Then one that is meant for the API server itself.
      const ours = await this.#review(token, [audience]);
      return ours ?? (await this.#review(token, undefined));
    });
    if (person === undefined) throw nobody();
    if (this.#known.size >= mostRemembered) this.#known.clear();
    this.#known.set(key, { person, untilMs: performance.now() + rememberMs });
    return person;
  }

  async refusal(person: Person, { resource, verb, name }: Deed): Promise<string | undefined> {
    const refused = await this.#refused(person, { group, resource, verb, ...(name === '' ? {} : { name }) });
    if (refused === undefined) return undefined;
    const what = name === '' ? `${resource}.${group}` : `${resource}.${group} "${name}"`;
    return `${person.name} may not ${verb} ${what}${refused}: bind a role that has this verb, such as one of the chart's cluster roles`;
  }

  async podsRefusal(person: Person, namespace: string): Promise<string | undefined> {
    const refused = await this.#refused(person, {
      resource: 'pods',
      verb: 'list',
      ...(namespace === '' ? {} : { namespace }),
    });
    if (refused === undefined) return undefined;
    const where = namespace === '' ? 'in all namespaces' : `in namespace ${namespace}`;
    return `${person.name} may not list pods ${where}${refused}: bind a role there that has this verb, such as view, or name the node`;
  }

  /** Undefined when allowed, else the authorizer's reason in parentheses, if it gave one. */
  async #refused(person: Person, resourceAttributes: V1ResourceAttributes): Promise<string | undefined> {
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
      throw new Fault('resource_exhausted', 'too many calls are being authorised at once: try again in a second');
    this.#running += 1;
    try {
      return await question();
    } finally {
      this.#running -= 1;
    }
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
