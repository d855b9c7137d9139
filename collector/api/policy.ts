import type { AnyMessage } from '@kcorder/proto/bridge/definition.ts';
import { pathOf } from '@kcorder/proto/bridge/definition.ts';
import type { CallContext } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { PeerTrust } from '../identity/peer-trust.ts';
import type { Person, Reviewer } from '../identity/person.ts';
import { type Identity, identityOf } from './identity.ts';

/** Who may call a method. */
export type Rule =
  /** The certificate of a node. */
  | { readonly by: 'node' }
  /** Whoever comes: the handler checks a credential of its own. */
  | { readonly by: 'anyone' }
  /** Somebody who is known, whatever their rights. */
  | { readonly by: 'person' }
  /** The certificate of an operator, or somebody who has this right. */
  | { readonly by: 'right'; readonly resource: string; readonly verb: string; readonly nameField?: string };

const right = (resource: string, verb: string, nameField?: string): Rule => ({
  by: 'right',
  resource,
  verb,
  ...(nameField === undefined ? {} : { nameField }),
});

/** A method that is not here can be called by nobody. */
export const policy: Readonly<Record<string, Rule>> = {
  '/kcorder.v1.AgentService/Attach': { by: 'node' },
  '/kcorder.v1.IngestService/Upload': { by: 'node' },
  '/kcorder.v1.IngestService/SendKernelTypes': { by: 'node' },
  '/kcorder.v1.EnrolmentService/Enrol': { by: 'anyone' },
  '/kcorder.v1.EnrolmentService/CreateJoinToken': right('nodes', 'create'),
  '/kcorder.v1.OperatorService/CreateCapture': right('captures', 'create', 'nodeName'),
  '/kcorder.v1.OperatorService/GetCapture': right('captures', 'get'),
  '/kcorder.v1.OperatorService/ListCaptures': right('captures', 'list'),
  '/kcorder.v1.OperatorService/WatchCapture': right('captures', 'get'),
  '/kcorder.v1.OperatorService/CancelCapture': right('captures', 'cancel'),
  '/kcorder.v1.OperatorService/ApproveCapture': right('captures', 'approve', 'nodeName'),
  '/kcorder.v1.OperatorService/DownloadEvidence': right('evidence', 'download'),
  '/kcorder.v1.OperatorService/GetAnalysis': right('analyses', 'get'),
  '/kcorder.v1.OperatorService/AnalyzeCapture': right('analyses', 'create'),
  '/kcorder.v1.OperatorService/ListNodes': right('nodes', 'list'),
  '/kcorder.v1.OperatorService/ResolvePods': right('nodes', 'list'),
  '/kcorder.v1.OperatorService/GetVersion': { by: 'person' },
  '/kcorder.v1.EvidenceService/DeleteEvidence': right('evidence', 'delete'),
  '/kcorder.v1.EvidenceService/HoldEvidence': right('evidence', 'hold'),
  '/kcorder.v1.EvidenceService/ReleaseEvidence': right('evidence', 'release'),
  '/kcorder.v1.EvidenceService/VerifyEvidence': right('evidence', 'verify'),
  '/kcorder.v1.EvidenceService/VerifyAudit': right('evidence', 'verify'),
  '/kcorder.v1.EvidenceService/CheckStore': right('stores', 'check'),
  '/kcorder.v1.ScheduleService/CreateSchedule': right('schedules', 'create'),
  '/kcorder.v1.ScheduleService/GetSchedule': right('schedules', 'get'),
  '/kcorder.v1.ScheduleService/ListSchedules': right('schedules', 'list'),
  '/kcorder.v1.ScheduleService/PauseSchedule': right('schedules', 'pause', 'name'),
  '/kcorder.v1.ScheduleService/ResumeSchedule': right('schedules', 'pause', 'name'),
  '/kcorder.v1.ScheduleService/TriggerSchedule': right('schedules', 'trigger', 'name'),
  '/kcorder.v1.ScheduleService/DeleteSchedule': right('schedules', 'delete', 'name'),
  '/kcorder.v1.ScheduleService/ListRuns': right('schedules', 'list'),
  '/kcorder.v1.SymbolsService/ListSymbols': right('symbols', 'list'),
  '/kcorder.v1.SymbolsService/FindSymbols': right('symbols', 'find'),
  '/kcorder.v1.SymbolsService/PinSymbols': right('symbols', 'pin'),
  '/kcorder.v1.SymbolsService/DeleteSymbols': right('symbols', 'delete'),
  '/kcorder.v1.SymbolsService/ExportSymbols': right('symbols', 'download'),
  '/kcorder.v1.SymbolsService/ImportSymbols': right('symbols', 'create'),
};

const callers = new WeakMap<CallContext, Identity>();
const persons = new WeakMap<CallContext, Person>();

/** How a right is followed while a stream lives. Times in milliseconds. */
export interface ReviewPace {
  /** Between two questions; what they take may come on top, and all of it has to stay below a minute. */
  readonly everyMs: number;
  /** How long a stream lives on while nobody can tell. */
  readonly untoldMs: number;
  /** Milliseconds of a clock that never goes back. */
  now(): number;
}

const usualPace: ReviewPace = { everyMs: 25_000, untoldMs: 10 * 60_000, now: () => performance.now() };

/** Lets calls in, or not, and streams go on, or not. */
export class Gate {
  readonly #reviewer: Reviewer | undefined;
  readonly #peers: Pick<PeerTrust, 'check'>;
  readonly #pace: ReviewPace;

  /** Without a reviewer there are certificates only. */
  constructor(reviewer: Reviewer | undefined, peers: Pick<PeerTrust, 'check'>, pace: ReviewPace = usualPace) {
    this.#reviewer = reviewer;
    this.#peers = peers;
    this.#pace = pace;
  }

  /** Throws unauthenticated or permission_denied when this caller may not make this call; cluster_unavailable when nobody can tell. */
  async admit(context: CallContext, request: AnyMessage | undefined): Promise<void> {
    const path = pathOf(context.method);
    const rule = policy[path];
    if (rule === undefined) throw new Fault('permission_denied', `${path} may be called by nobody`);
    if (rule.by === 'anyone') return;
    // A connection may have outlived what its handshake saw.
    if (context.peerCertificate !== undefined) this.#peers.check(context.peerCertificate);
    const token = tokenFor(rule, context);
    if (token !== undefined) {
      const person = await this.#review(token, rule, request);
      callers.set(context, { kind: 'user', name: person.name });
      persons.set(context, person);
      return;
    }
    if (context.peerNames === '' && rule.by !== 'node')
      throw new Fault(
        'unauthenticated',
        'nobody is named: come with a bearer token, or with a client certificate on the other port',
      );
    const identity = identityOf(context.peerNames);
    const wanted = rule.by === 'node' ? 'node' : 'operator';
    if (wanted !== identity.kind) {
      throw new Fault(
        'permission_denied',
        `${identity.kind} ${identity.name} may not call ${path}: it needs another certificate`,
      );
    }
    callers.set(context, identity);
  }

  /**
   * Asks again and again whether somebody with a token may still have a stream, and ends it when not; that nobody can tell is no answer, until
   * it has lasted for too long. Streams by certificate end with their connection. Returns the function that stops it.
   */
  supervise(context: CallContext, request: AnyMessage | undefined, end: (fault: Fault) => void): () => void {
    const rule = policy[pathOf(context.method)];
    const token = rule && tokenFor(rule, context);
    if (rule === undefined || token === undefined) return () => undefined;
    const { everyMs, untoldMs, now } = this.#pace;
    let toldMs = now();
    let stopped = false;
    let timer: NodeJS.Timeout | undefined;
    const look = async (): Promise<void> => {
      try {
        await this.#review(token, rule, request);
        toldMs = now();
      } catch (error) {
        const fault = Fault.from(error);
        const isRefused = fault.code === 'unauthenticated' || fault.code === 'permission_denied';
        if (isRefused || now() - toldMs >= untoldMs) return end(fault);
      }
      if (!stopped) timer?.refresh();
    };
    timer = setTimeout(() => void look(), everyMs).unref();
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
    if (person === undefined || refusal !== undefined)
      throw new Fault('permission_denied', refusal ?? 'nobody is named who may list pods');
  }

  async #review(token: string, rule: Rule, request: AnyMessage | undefined): Promise<Person> {
    if (this.#reviewer === undefined)
      throw new Fault('unauthenticated', 'this collector takes no tokens: come with a client certificate');
    const person = await this.#reviewer.authenticate(token);
    if (rule.by === 'right') {
      const { resource, verb, nameField } = rule;
      const refusal = await this.#reviewer.refusal(person, { resource, verb, name: nameIn(request, nameField) });
      if (refusal !== undefined) throw new Fault('permission_denied', refusal);
    }
    return person;
  }
}

/** Who makes an admitted call. */
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

/** The token by which a call is to be judged; none for what only a node may call, and beside a certificate. */
function tokenFor(rule: Rule, context: CallContext): string | undefined {
  return rule.by === 'node' || rule.by === 'anyone' || context.peerNames !== '' ? undefined : bearerToken(context);
}

function bearerToken({ metadata }: CallContext): string | undefined {
  const values = metadata.get('authorization');
  if (values.length === 0) return undefined;
  const token = values.length === 1 ? /^Bearer ([\x21-\x7e]+)$/i.exec(String(values[0]))?.[1] : undefined;
  if (token === undefined) throw new Fault('unauthenticated', 'the authorization is not one bearer token');
  return token;
}

function nameIn(request: AnyMessage | undefined, field: string | undefined): string {
  if (request === undefined || field === undefined) return '';
  const value = (request as unknown as Record<string, unknown>)[field];
  return typeof value === 'string' ? value : '';
}
