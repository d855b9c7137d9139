import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Capture, CaptureState, Request } from '../capture/capture.ts';
import type { CaptureEvent } from '../capture/event.ts';
import { next, type Step } from '../capture/next.ts';
import { AuditLog } from './audit.ts';
import { transact } from './database.ts';
import { decode, encode } from './encode.ts';
import { checkQuotas, type Quotas } from './quotas.ts';

/** A capture as the journal has it. */
export interface JournaledCapture extends Capture {
  /** Bytes that survive a crash. */
  readonly durableBytes: number;
}

/** A change of a capture that is durable by now. */
export interface Change {
  readonly capture: JournaledCapture;
  /** Unset when only the durable offset moved. */
  readonly event?: CaptureEvent;
  readonly addedBytes: number;
}

/** What can be read of a capture, as the audit log names it. */
export type Reading = 'downloaded' | 'analysis_read';

/** The captures on disk. Every change is one transaction with its audit record, and durable when the call returns. */
export class CaptureJournal {
  readonly audit: AuditLog;
  readonly #database: DatabaseSync;
  readonly #quotas: Quotas;
  readonly #watchers = new Set<(change: Change) => void>();

  constructor(database: DatabaseSync, quotas: Quotas = { quotaBytes: 0, nodeQuotaBytes: 0 }) {
    this.#database = database;
    this.#quotas = quotas;
    this.audit = new AuditLog(database);
  }

  /**
   * Writes a new capture, unless the requester used the key before: then that capture comes back, `created` false. Throws
   * node_busy when the node has a running capture, disk_too_small when `freeBytes` does not hold it beside all that is reserved,
   * quota_exceeded. `beside` is part of the same transaction.
   */
  create(
    request: Request,
    idempotencyKey: string,
    freeBytes: number,
    beside: () => void = () => undefined,
  ): { capture: JournaledCapture; created: boolean } {
    return transact(this.#database, () => {
      const existing = this.findByKey(request.requestedBy, idempotencyKey);
      if (existing !== undefined) return { capture: existing, created: false };
      const running = this.runningOn(request.node.uid);
      if (running !== undefined) {
        throw new Fault(
          'node_busy',
          `node ${request.node.name} is being captured (${running.request.id}): wait for it, or cancel it`,
        );
      }
      this.#reserve(request, freeBytes);
      checkQuotas(this.#database, this.#quotas, request);
      beside();
      const state: CaptureState = { phase: 'requested' };
      this.#database
        .prepare(
          `INSERT INTO captures (id, node_uid, node_name, requested_by, idempotency_key, requested_at, phase, ceiling_bytes, request, state, schedule)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(
          request.id,
          request.node.uid,
          request.node.name,
          request.requestedBy,
          idempotencyKey,
          request.requestedAt,
          state.phase,
          request.ceilingBytes,
          encode(request),
          encode(state),
          request.schedule?.name ?? '',
        );
      const { id: captureId, requestedAt: at, requestedBy: actor, reason, node, pods, approvedBy, schedule } = request;
      const more = { ...(pods && { pods }), ...(approvedBy && { approvedBy }), ...(schedule && { schedule }) };
      const detail = { reason, node: node.name, ...more };
      this.audit.append({ at, captureId, actor, action: 'requested', detail });
      return { capture: { request, state, durableBytes: 0 }, created: true };
    });
  }

  #reserve(request: Request, freeBytes: number): void {
    // Whatever it is that the node told: a negative one would make room for all others.
    if (!Number.isSafeInteger(request.ceilingBytes) || request.ceilingBytes < 0) {
      const what = `node ${request.node.name} claims memory for ${request.ceilingBytes} bytes of image, which no node has`;
      throw new Fault('invalid_argument', `${what}: see to its agent. Nothing was started`);
    }
    const row = this.#database
      .prepare(
        `SELECT coalesce(sum(max(ceiling_bytes - durable_bytes, 0)), 0) AS reserved FROM captures WHERE phase IN ('requested', 'acquiring')`,
      )
      .get();
    const reserved = Number(row?.reserved);
    if (request.ceilingBytes <= freeBytes - reserved) return;
    const taken = reserved === 0 ? '' : `, ${reserved} of them reserved by running captures`;
    throw new Fault(
      'disk_too_small',
      `node ${request.node.name} needs up to ${request.ceilingBytes} bytes of evidence, ${freeBytes} bytes are free${taken}: free space or give the collector a larger disk. Nothing was started`,
    );
  }

  find(captureId: string): JournaledCapture | undefined {
    const row = this.#database.prepare('SELECT * FROM captures WHERE id = ?').get(captureId);
    return row === undefined ? undefined : toCapture(row);
  }

  /** The capture that a requester created under a key. */
  findByKey(requestedBy: string, idempotencyKey: string): JournaledCapture | undefined {
    const row = this.#database
      .prepare('SELECT * FROM captures WHERE requested_by = ? AND idempotency_key = ?')
      .get(requestedBy, idempotencyKey);
    return row === undefined ? undefined : toCapture(row);
  }

  /** Throws capture_unknown. */
  get(captureId: string): JournaledCapture {
    const capture = this.find(captureId);
    if (capture !== undefined) return capture;
    throw new Fault('capture_unknown', `there is no capture ${captureId}: list them with 'kcorder get captures'`);
  }

  /** Newest first; `before` is the last one of the page before. */
  list(options: {
    nodeName?: string;
    limit: number;
    before?: { requestedAt: string; id: string };
  }): JournaledCapture[] {
    return this.#database
      .prepare(
        `SELECT * FROM captures WHERE (?1 IS NULL OR node_name = ?1) AND (?2 IS NULL OR (requested_at, id) < (?2, ?3))
         ORDER BY requested_at DESC, id DESC LIMIT ?4`,
      )
      .all(options.nodeName ?? null, options.before?.requestedAt ?? null, options.before?.id ?? null, options.limit)
      .map(toCapture);
  }

  /** Every capture that has not ended, oldest first. */
  open(): JournaledCapture[] {
    return this.#database
      .prepare(
        `SELECT * FROM captures WHERE phase IN ('requested', 'acquiring', 'sealing', 'sealed', 'analyzing') ORDER BY requested_at`,
      )
      .all()
      .map(toCapture);
  }

  /** Every capture that still has to be acquired or sealed, oldest first. */
  unsealed(): JournaledCapture[] {
    return this.#database
      .prepare(`SELECT * FROM captures WHERE phase IN ('requested', 'acquiring', 'sealing') ORDER BY requested_at`)
      .all()
      .map(toCapture);
  }

  /** What takes or waits for a turn, oldest first, without reading whole captures. */
  underway(): { id: string; nodeUid: string; phase: 'requested' | 'acquiring' }[] {
    return this.#database
      .prepare(
        `SELECT id, node_uid, phase FROM captures WHERE phase IN ('requested', 'acquiring') ORDER BY requested_at`,
      )
      .all()
      .map(({ id, node_uid: uid, phase }) => ({
        id: String(id),
        nodeUid: String(uid),
        phase: phase === 'requested' ? 'requested' : 'acquiring',
      }));
  }

  /** The capture that is requested or being acquired on a node. */
  runningOn(nodeUid: string): JournaledCapture | undefined {
    const row = this.#database
      .prepare(`SELECT * FROM captures WHERE node_uid = ? AND phase IN ('requested', 'acquiring')`)
      .get(nodeUid);
    return row === undefined ? undefined : toCapture(row);
  }

  /** Ids of the captures that are requested or being acquired, by the uid of their node. */
  running(): Map<string, string> {
    const rows = this.#database
      .prepare(`SELECT node_uid, id FROM captures WHERE phase IN ('requested', 'acquiring')`)
      .all();
    return new Map(rows.map(({ node_uid: uid, id }) => [String(uid), String(id)]));
  }

  /** Applies an event. A refused step changes nothing. Throws storage_failed. */
  apply(captureId: string, event: CaptureEvent, actor: string): Step {
    const step = transact(this.#database, () => {
      const { state } = this.get(captureId);
      const result = next(state, event);
      if (result.kind === 'refused') return result;
      this.#database
        .prepare('UPDATE captures SET phase = ?, state = ? WHERE id = ?')
        .run(result.state.phase, encode(result.state), captureId);
      if (event.kind !== 'analysis_started' && event.kind !== 'analysis_ended') this.#noteEnd(captureId, result.state);
      const { kind: action, at, ...detail } = event;
      this.audit.append({ at, captureId, actor, action, detail: JSON.parse(encode(detail)) as unknown });
      return result;
    });
    if (step.kind === 'moved') this.#tell({ capture: this.get(captureId), event, addedBytes: 0 });
    return step;
  }

  /** Keeps what is asked for by sums and conditions in columns, and opens the record of where the image is. */
  #noteEnd(captureId: string, state: CaptureState): void {
    if (!('endedAt' in state)) return;
    const { outcome, endedAt } = state;
    const reason = 'reason' in outcome ? outcome.reason : '';
    this.#database
      .prepare('UPDATE captures SET outcome = ?, outcome_reason = ?, ended_at = ? WHERE id = ?')
      .run(outcome.kind, reason, endedAt, captureId);
    if (state.evidence === undefined) return;
    this.#database
      .prepare(
        `INSERT INTO storage (capture_id, node_name, schedule, sealed_at, complete, image_bytes, stored_bytes)
         SELECT id, node_name, schedule, ?1, ?2, ?3, ?3 FROM captures WHERE id = ?4`,
      )
      .run(endedAt, outcome.kind === 'complete' ? 1 : 0, state.evidence.bytes, captureId);
  }

  /** Moves the durable offset forward; bytes before it must be on disk already. Throws storage_failed. */
  advance(captureId: string, durableBytes: number): void {
    const addedBytes = durableBytes - this.get(captureId).durableBytes;
    const at = new Date().toISOString();
    transact(this.#database, () =>
      this.#database
        .prepare('UPDATE captures SET durable_bytes = ?, progress_at = ? WHERE id = ?')
        .run(durableBytes, at, captureId),
    );
    this.#tell({ capture: this.get(captureId), addedBytes });
  }

  /** Puts on record that somebody reads what was found; call it before the first byte. Throws storage_failed. */
  recordReading(captureId: string, actor: string, action: Reading, detail: unknown): void {
    const at = new Date().toISOString();
    transact(this.#database, () => this.audit.append({ at, captureId, actor, action, detail }));
  }

  /** Puts on record what somebody does that concerns no single capture; call it before it is done. Throws storage_failed. */
  recordAct(actor: string, action: string, detail: unknown): void {
    const at = new Date().toISOString();
    transact(this.#database, () => this.audit.append({ at, captureId: '', actor, action, detail }));
  }

  /** Calls back at every change, until the returned function is called. */
  watch(changed: (change: Change) => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  #tell(change: Change): void {
    for (const changed of this.#watchers) changed(change);
  }
}

function toCapture(row: Record<string, unknown>): JournaledCapture {
  return {
    request: decode<Request>(String(row.request)),
    state: decode<CaptureState>(String(row.state)),
    durableBytes: Number(row.durable_bytes),
  };
}
