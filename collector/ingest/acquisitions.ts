import { setTimeout as sleep } from 'node:timers/promises';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type {
  AcquisitionEnd,
  AcquisitionStart,
  Evidence,
  NamedContainer,
  NodeIdentity,
  Outcome,
} from '../capture/capture.ts';
import type { CaptureEvent } from '../capture/event.ts';
import { futility } from '../capture/next.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import { seal, sealedBefore } from '../evidence/seal.ts';
import type { CaptureJournal, JournaledCapture } from '../journal/capture-journal.ts';
import { Acquisition, type StreamHolder } from './acquisition.ts';
import { withNodeContainers } from './named-containers.ts';

const closingMs = 5_000;
/** Attempts, one every two seconds: for what will be the same each time, and for a disk that may come back within ten minutes. */
const mostSealings = { usual: 5, flaky: 300 };
const flaky: ReadonlySet<unknown> = new Set(['EIO', 'ESTALE', 'ETIMEDOUT', 'EBUSY', 'EAGAIN']);
/** Of a disk or a process that is full: a sealing that fails with them is tried again, until it succeeds. */
const passing: ReadonlySet<unknown> = new Set([
  'storage_failed',
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'EMFILE',
  'ENFILE',
  'ENOMEM',
]);

/** What the API server says of a node's containers, and when its list was last in step. */
export interface NodeInventory {
  readonly containers: readonly NamedContainer[];
  readonly asOf: string;
}

/** The images that are arriving, and what ends them. The journal decides; this only carries out. */
export class Acquisitions {
  readonly #journal: CaptureJournal;
  readonly #evidence: EvidenceDirectory;
  readonly #version: string;
  readonly #inventory: (nodeName: string) => NodeInventory | undefined;
  readonly #live = new Map<string, Acquisition>();
  readonly #sealing = new Set<string>();
  /** Sealings that failed in a row, by capture. */
  readonly #failedSealings = new Map<string, number>();
  #closing = false;

  constructor(
    journal: CaptureJournal,
    evidence: EvidenceDirectory,
    version: string,
    inventory: (nodeName: string) => NodeInventory | undefined = () => undefined,
  ) {
    this.#journal = journal;
    this.#evidence = evidence;
    this.#version = version;
    this.#inventory = inventory;
  }

  /** The live acquisition of a capture. */
  live(captureId: string): Acquisition | undefined {
    return this.#live.get(captureId);
  }

  /** The capture, if it was ordered from this node and still takes bytes. Throws not_ordered, capture_ended. */
  orderedFrom(node: NodeIdentity, captureId: string): JournaledCapture {
    const capture = this.#journal.find(captureId);
    if (capture === undefined || capture.request.node.uid !== node.uid) {
      throw new Fault('not_ordered', `no capture ${captureId} was ordered from node ${node.name}`);
    }
    const { phase } = capture.state;
    if (phase !== 'requested' && phase !== 'acquiring') {
      throw new Fault('capture_ended', `capture ${captureId} is ${phase}: no more bytes are taken`);
    }
    return capture;
  }

  /** The evidence that this very acquisition of the node has ended in, when it is complete. */
  completedBy(node: NodeIdentity, captureId: string, acquisitionId: string): Evidence | undefined {
    const capture = this.#journal.find(captureId);
    if (capture === undefined || capture.request.node.uid !== node.uid || !('evidence' in capture.state))
      return undefined;
    const { state } = capture;
    const start = state.phase === 'done' ? state.acquired?.start : state.start;
    return state.outcome.kind === 'complete' && start?.acquisitionId === acquisitionId ? state.evidence : undefined;
  }

  /**
   * Opens or reopens the acquisition for the holder's stream. Throws lease_held when another acquisition has it, stream_fenced for an old
   * attempt, evidence_missing when acknowledged bytes are gone.
   */
  async begin(
    node: NodeIdentity,
    captureId: string,
    agentStart: AcquisitionStart,
    holder: StreamHolder,
  ): Promise<{ acquisition: Acquisition; epoch: number }> {
    if (this.#closing) throw ending();
    const start = withInventory(agentStart, this.#inventory(node.name));
    this.orderedFrom(node, captureId);
    let before = this.#live.get(captureId);
    const moved = holder.moved && before?.holder !== undefined;
    do {
      if (before?.holder !== undefined) await takeOver(before.holder, captureId, holder);
      // What an earlier stream stored but did not see acknowledged is made durable first, so that it need not be sent again.
      await before?.settle().catch(() => undefined);
      // Another stream may have begun while this one waited.
      before = this.#live.get(captureId);
    } while (before?.holder !== undefined);
    const { attempt } = holder;
    const capture = this.orderedFrom(node, captureId);
    const { durableBytes, state } = capture;
    const futile = futility(state, durableBytes);
    if (futile !== undefined) {
      const event = { kind: 'broken', at: now(), reason: 'network_stall', detail: futile } as const;
      await this.conclude(captureId, event, 'collector');
      throw new Fault('capture_ended', `capture ${captureId} was ended: ${futile}`);
    }
    const cause =
      state.phase === 'requested'
        ? 'first'
        : before === undefined
          ? 'the collector was restarted'
          : moved
            ? 'the agent moved to a newer connection'
            : 'the connection broke';
    const step = this.#journal.apply(
      captureId,
      { kind: 'opened', at: start.openedAt, start, attempt, durableBytes, cause, ...(moved && { moved }) },
      `node/${node.name}`,
    );
    if (step.kind === 'refused' || step.state.phase !== 'acquiring') {
      const other = state.phase === 'acquiring' && state.start.acquisitionId !== start.acquisitionId;
      throw new Fault(
        other ? 'lease_held' : 'stream_fenced',
        `capture ${captureId}: ${step.kind === 'refused' ? step.reason : 'it has ended'}`,
      );
    }
    const acquisition = before ?? this.#create(capture);
    // In the same turn as the journal's step: from here on only a later attempt can take over.
    acquisition.holder = holder;
    await acquisition.writer();
    return { acquisition, epoch: step.state.epoch };
  }

  /** The holder's stream has ended. */
  leave(captureId: string, holder: StreamHolder): void {
    const acquisition = this.#live.get(captureId);
    if (acquisition?.holder === holder) acquisition.holder = undefined;
  }

  #create(capture: JournaledCapture): Acquisition {
    const { id } = capture.request;
    const acquisition = new Acquisition(capture.request, capture.durableBytes, {
      openWriter: (bytes) => this.#evidence.openWriter(id, bytes),
      advance: (bytes) => this.#journal.advance(id, bytes),
    });
    this.#live.set(id, acquisition);
    return acquisition;
  }

  /** The agent says that all is sent: judge, seal, and give back what is stored; undefined when no byte is. */
  async finish(captureId: string, end: AcquisitionEnd): Promise<Evidence | undefined> {
    const { request, durableBytes } = this.#journal.get(captureId);
    const step = this.#journal.apply(
      captureId,
      { kind: 'finished', at: now(), end, durableBytes },
      `node/${request.node.name}`,
    );
    if (step.kind === 'refused') throw new Fault('capture_ended', `capture ${captureId}: ${step.reason}`);
    return await this.sealUp(captureId);
  }

  /**
   * Ends a capture before its time: the stream, if one is open, is told and let go, what was acquired is kept and marked. False when
   * the event does not fit, since the capture has ended already.
   */
  async conclude(captureId: string, event: CaptureEvent, actor: string): Promise<boolean> {
    const step = this.#journal.apply(captureId, event, actor);
    if (step.kind === 'refused') return false;
    await this.sealUp(captureId, new Fault('capture_ended', `capture ${captureId} was ended: ${event.kind}`));
    return true;
  }

  /**
   * Seals a capture that is in its sealing phase; also called for those that a restart or a full disk left there. With a fault the stream
   * that is open ends first, as nobody else may write what is sealed.
   */
  async sealUp(captureId: string, fault?: Fault): Promise<Evidence | undefined> {
    const capture = this.#journal.get(captureId);
    const { state } = capture;
    if (state.phase !== 'sealing' || this.#sealing.has(captureId)) return undefined;
    this.#sealing.add(captureId);
    const acquisition = this.#live.get(captureId) ?? this.#create(capture);
    try {
      if (fault !== undefined) await acquisition.holder?.end(fault);
      await acquisition.settle().catch(() => undefined);
      const sealed = await this.#seal(acquisition, state);
      if (sealed === undefined)
        this.#journal.apply(captureId, { kind: 'lost', at: now(), outcome: withoutImage(state.outcome) }, 'collector');
      else this.#journal.apply(captureId, { kind: 'sealed', at: now(), ...sealed }, 'collector');
      this.#failedSealings.delete(captureId);
      return sealed?.evidence;
    } catch (error) {
      const detail = this.#hopelessness(captureId, state.outcome, acquisition.durableBytes, error);
      if (detail === undefined) throw error;
      const outcome = { kind: 'failed', reason: 'storage_failed', detail } as const;
      this.#journal.apply(captureId, { kind: 'lost', at: now(), outcome }, 'collector');
      return undefined;
    } finally {
      this.#live.delete(captureId);
      this.#sealing.delete(captureId);
      await acquisition.close().catch(() => undefined);
    }
  }

  /** Why a sealing that failed is not tried again; undefined while it may still succeed. */
  #hopelessness(captureId: string, outcome: Outcome, durableBytes: number, error: unknown): string | undefined {
    if (error instanceof Fault && error.code === 'evidence_missing') return error.message;
    if (isOf(passing, error)) return undefined;
    const failures = (this.#failedSealings.get(captureId) ?? 0) + 1;
    this.#failedSealings.set(captureId, failures);
    if (failures < (isOf(flaky, error) ? mostSealings.flaky : mostSealings.usual)) return undefined;
    this.#failedSealings.delete(captureId);
    const [cause = ''] = causeChain(error);
    const judged = outcome.kind === 'partial' || outcome.kind === 'failed' ? `; before that: ${outcome.detail}` : '';
    return `its image could not be sealed in ${failures} attempts (${cause}): ${durableBytes} bytes lie unsealed in ${this.#evidence.pathOf(captureId)}${judged}`;
  }

  async #seal(acquisition: Acquisition, state: JournaledCapture['state'] & { phase: 'sealing' }) {
    const { request, durableBytes } = acquisition;
    if (durableBytes === 0) {
      await acquisition.close();
      await this.#evidence.discard(request.id);
      return undefined;
    }
    const before = await sealedBefore(this.#evidence, request.id);
    if (before !== undefined) return before;
    await this.#evidence.unsealUnfinished(request.id);
    const containers = this.#journal.containersOf(request.id);
    const custody = this.#journal.audit.of(request.id);
    const facts = { collectorVersion: this.#version, request, state, containers, custody, sealedAt: now() };
    return await seal(this.#evidence, await acquisition.release(), facts);
  }

  /**
   * Lets go of every file: the collector is ending, the captures go on after its restart. Waits a few seconds at most, since a sealing
   * may have a large image to read; it is done again after the restart.
   */
  async close(): Promise<void> {
    this.#closing = true;
    const all = [...this.#live.values()].map(async (acquisition) => {
      await acquisition.holder?.end(ending());
      await acquisition.settle().catch(() => undefined);
      await acquisition.close().catch(() => undefined);
    });
    await Promise.race([Promise.all(all), sleep(closingMs, undefined, { ref: false })]);
  }
}

/** The containers that the node named, and those that the API server knows there. */
function withInventory(start: AcquisitionStart, inventory: NodeInventory | undefined): AcquisitionStart {
  if (inventory === undefined) return start;
  const containers = withNodeContainers(inventory.containers, start.containers);
  return { ...start, containers, inventoryAsOf: inventory.asOf };
}

const ending = (): Fault => new Fault('unavailable', 'the collector is ending: retry in a moment');

async function takeOver(held: StreamHolder, captureId: string, holder: StreamHolder): Promise<void> {
  if (held.acquisitionId !== holder.acquisitionId) {
    throw new Fault(
      'lease_held',
      `capture ${captureId} is being uploaded by another acquisition: one node, one acquisition`,
    );
  }
  const fenced = (by: number): Fault =>
    new Fault('stream_fenced', `capture ${captureId}: attempt ${by} has taken over`);
  if (holder.attempt <= held.attempt) throw fenced(held.attempt);
  await held.end(holder.moved ? undefined : fenced(holder.attempt));
}

/** Returns true when an error, or one of its causes, has one of these codes. */
function isOf(codes: ReadonlySet<unknown>, error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return codes.has('code' in error ? error.code : undefined) || isOf(codes, error.cause);
}

/** Without a byte there is nothing partial to keep. */
function withoutImage(outcome: Outcome): Outcome {
  if (outcome.kind !== 'partial') return outcome;
  const reason = outcome.reason === 'network_stall' ? 'network_stall' : 'acquirer_failed';
  return { kind: 'failed', reason, detail: outcome.detail };
}

const now = (): string => new Date().toISOString();
