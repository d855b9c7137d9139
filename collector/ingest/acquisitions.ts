import { Fault } from '@kcorder/proto/fault.ts';
import type { AcquisitionEnd, AcquisitionStart, Evidence, NodeIdentity, Outcome } from '../capture/capture.ts';
import type { CaptureEvent } from '../capture/event.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import { seal, sealedBefore } from '../evidence/seal.ts';
import type { CaptureJournal, JournaledCapture } from '../journal/captures.ts';
import { Acquisition } from './acquisition.ts';

/** The images that are arriving, and what ends them. The journal decides; this only carries out. */
export class Acquisitions {
  readonly #journal: CaptureJournal;
  readonly #evidence: EvidenceDirectory;
  readonly #version: string;
  readonly #live = new Map<string, Acquisition>();
  readonly #sealing = new Set<string>();

  constructor(journal: CaptureJournal, evidence: EvidenceDirectory, version: string) {
    this.#journal = journal;
    this.#evidence = evidence;
    this.#version = version;
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

  /** Opens or reopens the acquisition. Throws lease_held when another acquisition has it, stream_fenced for an old attempt. */
  async begin(
    node: NodeIdentity,
    captureId: string,
    start: AcquisitionStart,
    attempt: number,
  ): Promise<{ acquisition: Acquisition; epoch: number }> {
    this.orderedFrom(node, captureId);
    const before = this.#live.get(captureId);
    if (before?.holder !== undefined) await takeOver(before.holder, captureId, start.acquisitionId, attempt);
    // What an earlier stream stored but did not see acknowledged is made durable first, so that it need not be sent again.
    await before?.settle().catch(() => undefined);
    const capture = this.orderedFrom(node, captureId);
    const { durableBytes, state } = capture;
    const cause = before === undefined ? 'the collector was restarted' : 'the connection broke';
    const step = this.#journal.apply(
      captureId,
      { kind: 'opened', at: start.openedAt, start, attempt, durableBytes, cause },
      `node/${node.name}`,
    );
    if (step.kind === 'refused' || step.state.phase !== 'acquiring') {
      const other = state.phase === 'acquiring' && state.start.acquisitionId !== start.acquisitionId;
      throw new Fault(
        other ? 'lease_held' : 'stream_fenced',
        `capture ${captureId}: ${step.kind === 'refused' ? step.reason : 'it has ended'}`,
      );
    }
    const acquisition = this.#live.get(captureId) ?? this.#create(capture);
    await acquisition.writer();
    return { acquisition, epoch: step.state.epoch };
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
    await this.#live
      .get(captureId)
      ?.holder?.end(new Fault('capture_ended', `capture ${captureId} was ended: ${event.kind}`));
    await this.sealUp(captureId);
    return true;
  }

  /** Seals a capture that is in its sealing phase; also called for those that a restart or a full disk left there. */
  async sealUp(captureId: string): Promise<Evidence | undefined> {
    const capture = this.#journal.get(captureId);
    const { state } = capture;
    if (state.phase !== 'sealing' || this.#sealing.has(captureId)) return undefined;
    this.#sealing.add(captureId);
    const acquisition = this.#live.get(captureId) ?? this.#create(capture);
    try {
      await acquisition.settle().catch(() => undefined);
      const sealed = await this.#seal(acquisition, state);
      if (sealed === undefined)
        this.#journal.apply(captureId, { kind: 'lost', at: now(), outcome: withoutImage(state.outcome) }, 'collector');
      else this.#journal.apply(captureId, { kind: 'sealed', at: now(), ...sealed }, 'collector');
      return sealed?.evidence;
    } finally {
      this.#live.delete(captureId);
      this.#sealing.delete(captureId);
      await acquisition.close().catch(() => undefined);
    }
  }

  async #seal(acquisition: Acquisition, state: JournaledCapture['state'] & { phase: 'sealing' }) {
    const { request, durableBytes } = acquisition;
    if (durableBytes === 0) return undefined;
    const before = await sealedBefore(this.#evidence, request.id);
    if (before !== undefined) return before;
    await this.#evidence.unsealUnfinished(request.id);
    const custody = this.#journal.audit.of(request.id);
    const facts = { collectorVersion: this.#version, request, state, custody, sealedAt: now() };
    return await seal(this.#evidence, await acquisition.release(), facts);
  }

  /** Lets go of every file: the collector is ending, the captures go on after its restart. */
  async close(): Promise<void> {
    for (const acquisition of this.#live.values()) {
      await acquisition.holder?.end(new Fault('unavailable', 'the collector is ending: attach again in a moment'));
      await acquisition.settle().catch(() => undefined);
      await acquisition.close().catch(() => undefined);
    }
  }
}

async function takeOver(
  holder: NonNullable<Acquisition['holder']>,
  captureId: string,
  acquisitionId: string,
  attempt: number,
): Promise<void> {
  if (holder.acquisitionId !== acquisitionId) {
    throw new Fault(
      'lease_held',
      `capture ${captureId} is being uploaded by another acquisition: one node, one acquisition`,
    );
  }
  const fenced = (by: number): Fault =>
    new Fault('stream_fenced', `capture ${captureId}: attempt ${by} has taken over`);
  if (attempt <= holder.attempt) throw fenced(holder.attempt);
  await holder.end(fenced(attempt));
}

/** Without a byte there is nothing partial to keep. */
function withoutImage(outcome: Outcome): Outcome {
  if (outcome.kind !== 'partial') return outcome;
  const reason = outcome.reason === 'network_stall' ? 'network_stall' : 'acquirer_failed';
  return { kind: 'failed', reason, detail: outcome.detail };
}

const now = (): string => new Date().toISOString();
