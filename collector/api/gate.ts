// Why it is done this way: docs/decisions/017-rights.md

import type { Metadata } from '@grpc/grpc-js';
import type { AnyMessage } from '@kcorder/proto/bridge/definition.ts';
import { pathOf } from '@kcorder/proto/bridge/definition.ts';
import type { CallContext } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { addressOf } from '../identity/network.ts';
import { Paces } from '../identity/pace.ts';
import type { PeerTrust } from '../identity/peer-trust.ts';
import type { Asking, Person, Reviewer } from '../identity/person.ts';
import type { Arrival, Welcome } from './door/guarded-call.ts';
import { doorLimits } from './door/limits.ts';
import { type Identity, identityOf, payerOf } from './identity.ts';
import { type Right, ruleOf } from './policy.ts';

const callers = new WeakMap<CallContext, Identity>();
const persons = new WeakMap<CallContext, Person>();

/** How a right is followed while a stream lives. Times in milliseconds. */
export interface ReviewPace {
  /** Between two questions; what they take may come on top, and the farewell of a stream: all of it has to stay below a minute. */
  readonly everyMs: number;
  /** Before a refusal that an error led to is asked about once more; longer than a refused token is remembered. */
  readonly againMs: number;
  /** How long a stream lives on while nobody can tell. */
  readonly untoldMs: number;
  /** Milliseconds of a clock that never goes back. */
  now(): number;
}

export const usualPace: ReviewPace = {
  everyMs: 25_000,
  againMs: 6_000,
  untoldMs: 10 * 60_000,
  now: () => performance.now(),
};

/** How long what the headers of a call showed holds for its request, in milliseconds: a body may come minutes later. */
const metMs = 10_000;

/** The caller, by the headers of the call. */
interface Met {
  /** Unset where a credential in the request says it. */
  readonly identity?: Identity;
  /** Set while rights to what the request names are still to be asked for. */
  readonly person?: Person;
}

/** Lets calls in, or not, and streams go on, or not. */
export class Gate {
  readonly #reviewer: Reviewer | undefined;
  readonly #peers: Pick<PeerTrust, 'check'>;
  readonly #pace: ReviewPace;
  readonly #met = new WeakMap<Metadata, Met & { readonly atMs: number }>();
  readonly #acts = new Paces(doorLimits.actsOfIdentity.burst, doorLimits.actsOfIdentity.everyMs);

  /** Without a reviewer there are certificates only. */
  constructor(reviewer: Reviewer | undefined, peers: Pick<PeerTrust, 'check'>, pace: ReviewPace = usualPace) {
    this.#reviewer = reviewer;
    this.#peers = peers;
    this.#pace = pace;
  }

  /**
   * Lets a call in by its headers, before anything of its request is read. Throws unauthenticated or permission_denied when this caller may not make
   * this call; cluster_unavailable when nobody can tell; resource_exhausted.
   */
  async meet(arrival: Arrival): Promise<Welcome> {
    const atMs = this.#pace.now();
    const met = await this.#meet(arrival);
    this.#met.set(arrival.metadata, { ...met, atMs });
    return met.identity === undefined ? {} : { identity: payerOf(met.identity) };
  }

  /**
   * Asks what only the request can tell, and all again if the request came long after the headers; paces what adds to the audit log, and notes who
   * calls. Throws as `meet` does.
   */
  async admit(context: CallContext, request: AnyMessage | undefined): Promise<void> {
    const path = pathOf(context.method);
    const met = this.#met.get(context.metadata);
    const isFresh = met !== undefined && this.#pace.now() - met.atMs < metMs;
    const { identity, person } = isFresh ? met : await this.#meet({ ...context, path });
    const rule = ruleOf(path);
    if (person !== undefined && rule?.by === 'right') {
      if (rule.nameField !== undefined) await this.#checkRight(person, rule, nameIn(request, rule.nameField), 'call');
      await this.#checkFlag(person, rule, request, 'call');
    }
    if (identity !== undefined && rule?.by === 'right' && rule.onRecord)
      this.#paceAct(payerOf(identity), path, request);
    if (identity !== undefined) callers.set(context, identity);
    if (person !== undefined) persons.set(context, person);
  }

  async #meet({ path, metadata, peerNames, peerCertificate, peer }: Arrival): Promise<Met> {
    const rule = ruleOf(path);
    if (rule === undefined)
      throw new Fault('permission_denied', `${path} has no access policy, so every call is refused`);
    // A connection may have outlived what its handshake saw.
    if (peerCertificate !== undefined) this.#peers.check(peerCertificate);
    // Whoever has shown a certificate is counted by its names, not among the strangers of their address.
    if (rule.by === 'anyone') return peerCertificate === undefined ? {} : { identity: identityOf(peerNames) };
    const token = peerNames === '' ? bearerToken(metadata) : undefined;
    if (token !== undefined && rule.by !== 'node') {
      const person = await this.#recognize(token, peer, 'call');
      if (rule.by === 'right' && rule.nameField === undefined) await this.#checkRight(person, rule, '', 'call');
      return { identity: { kind: 'user', name: person.name }, person };
    }
    if (peerNames === '' && rule.by !== 'node')
      throw new Fault(
        'unauthenticated',
        'no credentials: send a bearer token, or use a client certificate on the port for certificates',
      );
    const identity = identityOf(peerNames);
    const wanted = rule.by === 'node' ? 'node' : 'operator';
    if (rule.by !== 'known' && wanted !== identity.kind) {
      throw new Fault(
        'permission_denied',
        `${identity.kind} ${identity.name} may not call ${path}: it needs another certificate`,
      );
    }
    return { identity };
  }

  #paceAct(who: string, path: string, request: AnyMessage | undefined): void {
    const { burst, everyMs, bytesOfToken } = doorLimits.actsOfIdentity;
    // The record has in its detail at most what the request says.
    const tokens = Math.max(1, Math.ceil(sizeOf(request) / bytesOfToken));
    const retryAfterMs = this.#acts.take(who, performance.now(), tokens);
    if (retryAfterMs === undefined) return;
    throw new Fault(
      'resource_exhausted',
      `${path} was refused: ${who} made more than ${burst} calls in a row that the audit log records, and ${1_000 / everyMs} per second beyond, each ${bytesOfToken >> 10} KiB of a request counted as one. Retry in ${retryAfterMs} ms`,
      { retryAfterMs },
    );
  }

  async #checkRight(
    person: Person,
    { resource, verb }: Pick<Right, 'resource' | 'verb'>,
    name: string,
    asking: Asking,
  ): Promise<void> {
    const refusal = await this.#reviewer?.refusal(person, { resource, verb, name }, asking);
    if (refusal !== undefined) throw refusal;
  }

  /** Asks for the right that a flag of the request needs, where it is set. */
  async #checkFlag(person: Person, rule: Right, request: AnyMessage | undefined, asking: Asking): Promise<void> {
    if (rule.flag === undefined || request === undefined) return;
    const { field, verb } = rule.flag;
    const isSet = (request as unknown as Record<string, unknown>)[field] === true;
    if (isSet) await this.#checkRight(person, { ...rule, verb }, '', asking);
  }

  /**
   * Asks again and again whether somebody with a token may still have a stream, and ends it when not; that nobody can tell is no answer, until
   * it has lasted for too long, and a refusal that an error led to is one only if it is given twice. Streams by certificate end with their connection. Returns the function that stops it.
   */
  supervise(context: CallContext, request: AnyMessage | undefined, end: (fault: Fault) => void): () => void {
    return this.#watch({ ...context, path: pathOf(context.method) }, request, end);
  }

  /** Does the same for calls that no handler of the bridge serves: the standard services. */
  superviseStandard(arrival: Arrival, end: (fault: Fault) => void): () => void {
    return ruleOf(arrival.path)?.by === 'known' ? this.#watch(arrival, undefined, end) : () => undefined;
  }

  #watch(arrival: Arrival, request: AnyMessage | undefined, end: (fault: Fault) => void): () => void {
    const { path, metadata, peerNames, peer } = arrival;
    const rule = ruleOf(path);
    const token = peerNames === '' ? bearerToken(metadata) : undefined;
    if (rule === undefined || rule.by === 'node' || rule.by === 'anyone' || token === undefined) return () => undefined;
    const { everyMs, againMs, untoldMs, now } = this.#pace;
    let toldMs = now();
    let stopped = false;
    let timer: NodeJS.Timeout | undefined;
    const lookIn = (ms: number, isAgain: boolean): void => {
      if (!stopped) timer = setTimeout(() => void look(isAgain), ms).unref();
    };
    const look = async (isAgain: boolean): Promise<void> => {
      try {
        const person = await this.#recognize(token, peer, 'stream');
        if (rule.by === 'right') {
          await this.#checkRight(person, rule, nameIn(request, rule.nameField), 'stream');
          await this.#checkFlag(person, rule, request, 'stream');
        }
        toldMs = now();
      } catch (error) {
        const fault = Fault.from(error);
        const isRefused = fault.code === 'unauthenticated' || fault.code === 'permission_denied';
        if (isRefused && fault.cause !== undefined && !isAgain) return lookIn(againMs, true);
        if (isRefused || now() - toldMs >= untoldMs) return end(fault);
      }
      lookIn(everyMs, false);
    };
    lookIn(everyMs, false);
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }

  /** Throws permission_denied when somebody with a token may not list the pods of a namespace, empty for all; cluster_unavailable. */
  async admitToPods(context: CallContext, namespace: string): Promise<void> {
    const person = persons.get(context);
    // An operator by certificate is one of no cluster.
    if (person === undefined && callerOf(context).kind === 'operator') return;
    const refusal = person && (await this.#reviewer?.podsRefusal(person, namespace));
    if (refusal !== undefined) throw refusal;
    if (person === undefined)
      throw new Fault('permission_denied', 'listing pods needs a bearer token, or the certificate of an operator');
  }

  /** Throws permission_denied when somebody with a token may not unmask results; cluster_unavailable. */
  async admitToUnmask(context: CallContext): Promise<void> {
    const person = persons.get(context);
    if (person !== undefined) await this.#checkRight(person, { resource: 'analyses', verb: 'unmask' }, '', 'call');
  }

  async #recognize(token: string, peer: string, asking: Asking): Promise<Person> {
    if (this.#reviewer === undefined)
      throw new Fault('unauthenticated', 'this collector takes no tokens: use a client certificate');
    return await this.#reviewer.authenticate(token, addressOf(peer), asking);
  }
}

/** Returns the caller of an admitted call. */
export function callerOf(context: CallContext): Identity {
  const identity = callers.get(context);
  if (identity === undefined) throw new Fault('unauthenticated', 'nobody was admitted to this call');
  return identity;
}

/** The node that calls; only for methods whose policy says so. */
export function callingNode(context: CallContext): Identity & { kind: 'node' } {
  const identity = callerOf(context);
  if (identity.kind !== 'node') throw new Fault('permission_denied', 'only a node may call this');
  return identity;
}

function bearerToken(metadata: Metadata): string | undefined {
  const values = metadata.get('authorization');
  if (values.length === 0) return undefined;
  const token = values.length === 1 ? /^Bearer ([\x21-\x7e]+)$/i.exec(String(values[0]))?.[1] : undefined;
  if (token === undefined) throw new Fault('unauthenticated', 'the authorization is not one bearer token');
  return token;
}

/** Bytes of a request as the JSON of a record. */
const sizeOf = (request: AnyMessage | undefined): number =>
  request === undefined
    ? 0
    : Buffer.byteLength(
        JSON.stringify(request, (_key, item: unknown) => (typeof item === 'bigint' ? `${item}` : item)),
      );

function nameIn(request: AnyMessage | undefined, field: string | undefined): string {
  if (request === undefined || field === undefined) return '';
  const value = (request as unknown as Record<string, unknown>)[field];
  return typeof value === 'string' ? value : '';
}
