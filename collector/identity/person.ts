import type { Fault } from '@kcorder/proto/fault.ts';

/** Somebody who has shown a token that the cluster vouches for. */
export interface Person {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** Whoever pays for what somebody does: of service accounts their namespace, as whoever can make one there can make many. */
export function holderOf(name: string): string {
  return /^system:serviceaccount:[^:]+/.exec(name)?.[0] ?? name;
}

/** What somebody wants to do: a verb on one of our virtual resources, perhaps on one object alone. */
export interface Deed {
  readonly resource: string;
  readonly verb: string;
  /** For a capture to be made: the node's. Empty: any. */
  readonly name: string;
}

/** What a question is asked for: a call that has come, or a stream that goes on, which has places of its own. */
export type Asking = 'call' | 'stream';

/**
 * Who vouches for people and says what they may. Both fail closed. A refusal has a cause if an error led to it: it may be an outage. The cause
 * is for the log, not for the caller.
 */
export interface Reviewer {
  /** `host` is where the token came from. Throws unauthenticated when nobody vouches for the token, cluster_unavailable, resource_exhausted. */
  authenticate(token: string, host: string, asking: Asking): Promise<Person>;
  /** Undefined when allowed, else permission_denied with why not. Throws cluster_unavailable, resource_exhausted. */
  refusal(person: Person, deed: Deed, asking: Asking): Promise<Fault | undefined>;
  /** The same for listing the pods of a namespace, empty for all: a right of Kubernetes' own. */
  podsRefusal(person: Person, namespace: string): Promise<Fault | undefined>;
}
