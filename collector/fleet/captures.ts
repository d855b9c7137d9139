import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { Fault } from '@kcorder/proto/fault.ts';
import type { AnalysisSpec, NodeIdentity, PodOnNode, Request } from '../capture/capture.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { Acquisitions } from '../ingest/acquisitions.ts';
import { imageCeilingBytes } from '../ingest/image-progress.ts';
import type { Approval, Approvals } from '../journal/approvals.ts';
import type { CaptureJournal, JournaledCapture } from '../journal/capture-journal.ts';
import type { CaptureSlots } from './capture-slots.ts';
import type { Attached, Fleet } from './fleet.ts';

/** What a person or a schedule asks for. */
export interface CaptureSpec {
  readonly nodeName: string;
  /** When it is about this very node, and not about one that was made again under its name. */
  readonly nodeUid?: string;
  readonly reason: string;
  readonly idempotencyKey: string;
  readonly requestedBy: string;
  /** Finds the pods that it is about; none when it is about the node. Asked only for a capture that is not there yet. */
  pods(): Promise<readonly PodOnNode[]>;
  /** The schedule that asks. One that is part of the configuration needs no second person. */
  readonly schedule?: {
    readonly name: string;
    readonly tick: string;
    readonly configured: boolean;
    readonly triggered: boolean;
  };
  /** False when no analysis follows. */
  readonly analyze?: boolean;
  /** Unset: the default profile. */
  readonly analysis?: AnalysisSpec;
}

/** The room that a capture is given. */
export interface CaptureLimits {
  readonly reserveBytes: number;
  /** Whether a second person has to allow each capture. */
  readonly approval: boolean;
}

/** What captures work with. */
export interface CapturesDeps {
  readonly journal: CaptureJournal;
  readonly acquisitions: Acquisitions;
  readonly evidence: EvidenceDirectory;
  readonly fleet: Fleet;
  readonly slots: CaptureSlots;
  readonly approvals: Approvals;
  readonly limits: CaptureLimits;
}

/** Orders captures and follows what becomes of the orders. */
export class Captures {
  readonly #deps: CapturesDeps;
  /** By node uid: the capture that its last heartbeat did not name. */
  readonly #missedOnce = new Map<string, string>();

  constructor(deps: CapturesDeps) {
    this.#deps = deps;
  }

  /** Journals the capture, then orders it. Throws node_unknown, node_offline, preflight_refused, approval_required, node_busy, disk_too_small. */
  async create(spec: CaptureSpec): Promise<JournaledCapture> {
    const before = this.#deps.journal.findByKey(spec.requestedBy, spec.idempotencyKey);
    if (before !== undefined) return sameSpec(before, spec);
    const agent = this.#deps.fleet.capturable(spec.nodeName, spec.nodeUid);
    const { name, uid, kernel, agentVersion } = agent.node;
    const { schedule, analyze, analysis } = spec;
    const approval = this.#deps.limits.approval && schedule?.configured !== true ? this.#approvalOf(spec) : undefined;
    const pods = await spec.pods();
    const freeBytes = await this.#deps.evidence.freeBytes(this.#deps.limits.reserveBytes);
    const request = {
      id: captureId(),
      node: { name, uid },
      requestedBy: spec.requestedBy,
      reason: spec.reason,
      requestedAt: new Date().toISOString(),
      ceilingBytes: imageCeilingBytes(kernel.ramRanges),
      kernel,
      agentVersion,
      ...(pods.length === 0 ? {} : { pods }),
      ...(approval === undefined ? {} : { approvedBy: approval.approvedBy }),
      ...(schedule === undefined ? {} : { schedule: roundOf(schedule) }),
      ...(analyze === false ? { analyze } : {}),
      ...(analysis === undefined ? {} : { analysis }),
    };
    const { capture, created } = this.#deps.journal.create(request, spec.idempotencyKey, freeBytes, () => {
      if (approval !== undefined && !this.#deps.approvals.use(approval)) throw approvalRequired(spec);
    });
    if (!created) return sameSpec(capture, spec);
    this.#deps.slots.give();
    return capture;
  }

  #approvalOf(spec: CaptureSpec): Approval {
    const approval = this.#deps.approvals.find(spec.nodeName, spec.reason, spec.requestedBy, new Date());
    if (approval === undefined) throw approvalRequired(spec);
    return approval;
  }

  /** Ends a running capture; what was acquired is kept. Throws capture_unknown, capture_ended. */
  async cancel(id: string, by: string): Promise<JournaledCapture> {
    const { request, state } = this.#deps.journal.get(id);
    if (!(await this.#deps.acquisitions.conclude(id, { kind: 'canceled', at: new Date().toISOString(), by }, by))) {
      throw new Fault('capture_ended', `capture ${id} is ${state.phase}: there is no acquisition to cancel`);
    }
    this.#deps.fleet.online(request.node.uid)?.send({ kind: 'cancel', captureId: id });
    return this.#deps.journal.get(id);
  }

  /**
   * An agent has attached: a capture that does not live in it any more has lost its AVML for good; one that was never taken up is
   * ordered again; one that it runs though it has ended is canceled.
   */
  async agentAttached(agent: Attached, runningCaptureIds: readonly string[]): Promise<void> {
    const { node } = agent;
    const open = this.#deps.journal.runningOn(node.uid);
    for (const id of runningCaptureIds) if (open?.id !== id) agent.send({ kind: 'cancel', captureId: id });
    if (open === undefined || runningCaptureIds.includes(open.id)) return;
    const { id } = open;
    if (open.phase === 'requested') {
      this.#deps.slots.again(id);
      return;
    }
    const detail = `the agent of node ${node.name} was started anew, and its AVML died with it`;
    await this.#deps.acquisitions.conclude(
      id,
      { kind: 'broken', at: new Date().toISOString(), reason: 'acquirer_died', detail },
      `node/${node.name}`,
    );
  }

  /**
   * A heartbeat: an acquisition that does not live in the agent any more, though it was begun there, was given up. Told twice in a row
   * it is no message that crossed another.
   */
  async agentHeard(node: NodeIdentity, runningCaptureIds: readonly string[]): Promise<void> {
    const open = this.#deps.journal.runningOn(node.uid);
    if (open?.phase !== 'acquiring' || runningCaptureIds.includes(open.id)) {
      this.#missedOnce.delete(node.uid);
      return;
    }
    const { id } = open;
    if (this.#missedOnce.get(node.uid) !== id) {
      this.#missedOnce.set(node.uid, id);
      return;
    }
    const detail = `the agent of node ${node.name} has given the acquisition up; its log says why`;
    await this.#deps.acquisitions.conclude(
      id,
      { kind: 'broken', at: new Date().toISOString(), reason: 'acquirer_died', detail },
      `node/${node.name}`,
    );
  }

  /** The agent will not carry out an order. False when it was given none, or has begun it: what it says then changes nothing. */
  agentRefused(node: NodeIdentity, id: string, detail: string): boolean {
    if (this.#deps.journal.requestedOf(id) !== node.uid) return false;
    const { kind } = this.#deps.journal.apply(
      id,
      { kind: 'refused', at: new Date().toISOString(), detail },
      `node/${node.name}`,
    );
    return kind === 'moved';
  }
}

function approvalRequired({ nodeName, reason }: CaptureSpec): Fault {
  return new Fault(
    'approval_required',
    `a second person has to allow this capture: ask one to run  kcorder approve ${quoted(nodeName)} --reason ${quoted(reason)}  and then try again`,
  );
}

/** For a shell, where a double-quoted reason could run what is in it. */
const quoted = (text: string): string => (/^[A-Za-z0-9._-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

const roundOf = ({ name, tick, triggered }: CaptureSpec['schedule'] & object): Request['schedule'] & object =>
  triggered ? { name, tick, triggered } : { name, tick };

function sameSpec(capture: JournaledCapture, spec: CaptureSpec): JournaledCapture {
  const { id, node, analysis } = capture.request;
  const isOfNode = node.name === spec.nodeName;
  // A schedule can have changed since, and its tick stays the same.
  if (isOfNode && (spec.schedule !== undefined || isDeepStrictEqual(analysis, spec.analysis))) return capture;
  const other = isOfNode ? 'with another analysis' : `of node ${node.name}`;
  throw new Fault(
    'invalid_argument',
    `idempotency key ${spec.idempotencyKey} belongs to capture ${id} ${other}: use a new key`,
  );
}

/** Sortable by time, unguessable, and safe as a path part. */
function captureId(): string {
  const stamp = new Date()
    .toISOString()
    .replaceAll(/[-:]|\.\d+Z/g, '')
    .toLowerCase();
  return `c${stamp}-${randomBytes(4).toString('hex')}`;
}
