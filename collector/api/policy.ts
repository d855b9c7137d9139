import type { Metadata } from '@grpc/grpc-js';
import type { AnyMessage } from '@kcorder/proto/bridge/definition.ts';
import { pathOf } from '@kcorder/proto/bridge/definition.ts';
import type { CallContext } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { PeerTrust } from '../identity/peer-trust.ts';
import type { Person, Reviewer } from '../identity/person.ts';
import { addressOf } from './door/connection.ts';
import type { Arrival, Welcome } from './door/guarded-call.ts';
import { actorOf, type Identity, identityOf } from './identity.ts';

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

type Right = Extract<Rule, { readonly by: 'right' }>;

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

/** What a server says of itself: for whoever is known, node or person, and nobody else. Probes have their own port. */
const standardMethods: ReadonlySet<string> = new Set([
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/List',
  '/grpc.health.v1.Health/Watch',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
]);

const ruleOf = (path: string): Rule | { readonly by: 'known' } | undefined =>
  standardMethods.has(path) ? { by: 'known' } : policy[path];

const callers = new WeakMap<CallContext, Identity>();

/** Who makes a call, by its headers. */
interface Met {
  /** Unset where a credential in the request says it. */
  readonly identity?: Identity;
  /** Whose rights are still to be asked for what the request names. */
  readonly person?: Person;
}

/** Lets calls in, or not. */
export class Gate {
  readonly #reviewer: Reviewer | undefined;
  readonly #peers: Pick<PeerTrust, 'check'>;
  readonly #met = new WeakMap<Metadata, Met>();

  /** Without a reviewer there are certificates only. */
  constructor(reviewer: Reviewer | undefined, peers: Pick<PeerTrust, 'check'>) {
    this.#reviewer = reviewer;
    this.#peers = peers;
  }

  /**
   * Lets a call in by its headers, before anything of its request is read. Throws unauthenticated or permission_denied when this caller may not make
   * this call; cluster_unavailable when nobody can tell; resource_exhausted.
   */
  async meet(arrival: Arrival): Promise<Welcome> {
    const met = await this.#meet(arrival);
    this.#met.set(arrival.metadata, met);
    return met.identity === undefined ? {} : { identity: holderOf(met.identity) };
  }

  /** Asks what only the request can tell, and notes who calls. Throws as `meet` does. */
  async admit(context: CallContext, request: AnyMessage | undefined): Promise<void> {
    const path = pathOf(context.method);
    const { identity, person } = this.#met.get(context.metadata) ?? (await this.#meet({ ...context, path }));
    const rule = ruleOf(path);
    if (person !== undefined && rule?.by === 'right' && rule.nameField !== undefined)
      await this.#checkRight(person, rule, nameIn(request, rule.nameField));
    if (identity !== undefined) callers.set(context, identity);
  }

  async #meet({ path, metadata, peerNames, peerCertificate, peer }: Arrival): Promise<Met> {
    const rule = ruleOf(path);
    if (rule === undefined) throw new Fault('permission_denied', `${path} may be called by nobody`);
    if (rule.by === 'anyone') return {};
    // A connection may have outlived what its handshake saw.
    if (peerCertificate !== undefined) this.#peers.check(peerCertificate);
    const token = peerNames === '' ? bearerToken(metadata) : undefined;
    if (token !== undefined && rule.by !== 'node') {
      if (this.#reviewer === undefined)
        throw new Fault('unauthenticated', 'this collector takes no tokens: come with a client certificate');
      const person = await this.#reviewer.authenticate(token, addressOf(peer));
      if (rule.by === 'right' && rule.nameField === undefined) await this.#checkRight(person, rule, '');
      return { identity: { kind: 'user', name: person.name }, person };
    }
    if (peerNames === '' && rule.by !== 'node')
      throw new Fault(
        'unauthenticated',
        'nobody is named: come with a bearer token, or with a client certificate on the other port',
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

  async #checkRight(person: Person, { resource, verb }: Right, name: string): Promise<void> {
    const refusal = await this.#reviewer?.refusal(person, { resource, verb, name });
    if (refusal !== undefined) throw new Fault('permission_denied', refusal);
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

/** By whom connections and calls are counted. */
const holderOf = (identity: Identity): string =>
  identity.kind === 'node' ? `${actorOf(identity)}/${identity.uid}` : actorOf(identity);

function bearerToken(metadata: Metadata): string | undefined {
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
