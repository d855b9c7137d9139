// Why it is done this way: docs/decisions/004-journaled-durable-offset.md

import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Capture, CaptureState, NamedContainer, Request } from '../capture/capture.ts';
import type { CaptureEvent } from '../capture/event.ts';
import { next, type Step } from '../capture/next.ts';
import { AuditLog } from './audit-log.ts';
import { detailOf, toCapture } from './capture-row.ts';
import { transact } from './database.ts';
import { decode, encode } from './encode.ts';
import { isUnsealed, OpenCaptures } from './open-captures.ts';
import { setCaptureAside } from './quarantine.ts';
import { checkQuotas, type Quotas } from './quotas.ts';

/** A capture as the journal has it. */
export interface JournaledCapture extends Capture {
  /** Bytes that survive a crash. */
  readonly durableBytes: number;
}

/** A change of a capture that is durable by now. */
export interface Change {
  readonly captureId: string;
  /** Read when somebody asks for it: the durable offset moves ten times a second. */
  capture(): JournaledCapture;
  /** Unset when only the durable offset moved. */
  readonly event?: CaptureEvent;
  readonly addedBytes: number;
}

/** What can be read of a capture, as the audit log names it. */
export type Reading = 'downloaded' | 'analysis_read' | 'rows_read' | 'results_downloaded';

/** The captures on disk. Every change is one transaction with its audit record, and durable when the call returns. */
export class CaptureJournal extends OpenCaptures {
  readonly audit: AuditLog;
  readonly #database: DatabaseSync;
  readonly #quotas: Quotas;
  readonly #damaged: (fault: unknown) => void;
  readonly #watchers = new Set<(change: Change) => void>();

  /** `damaged` hears of captures that are left out of a list because they cannot be read. */
  constructor(
    database: DatabaseSync,
    quotas: Quotas = { quotaBytes: 0, nodeQuotaBytes: 0 },
    damaged: (fault: unknown) => void = () => undefined,
  ) {
    super(database);
    this.#database = database;
    this.#quotas = quotas;
    this.#damaged = damaged;
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
    const existing = this.findByKey(request.requestedBy, idempotencyKey);
    if (existing !== undefined) return { capture: existing, created: false };
    return transact(this.#database, () => {
      const running = this.runningOn(request.node.uid);
      if (running !== undefined) {
        throw new Fault(
          'node_busy',
          `node ${request.node.name} is being captured (${running.id}): wait for it, or cancel it`,
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
      const { id: captureId, requestedAt: at, requestedBy: actor, reason, node } = request;
      const { pods, approvedBy, schedule, analysis } = request;
      const more = {
        ...{ ...(pods && { pods }), ...(approvedBy && { approvedBy }) },
        ...{ ...(schedule && { schedule }), ...(analysis && { analysis }) },
      };
      const detail = { reason, node: node.name, ...more };
      this.audit.append({ at, captureId, actor, action: 'requested', detail });
      return { capture: { request, state, durableBytes: 0 }, created: true };
    });
  }

  #reserve(request: Request, freeBytes: number): void {
    // A negative ceiling would make room for all other captures.
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
    return row === undefined ? undefined : this.#read(row);
  }

  /** The capture that a requester created under a key. */
  findByKey(requestedBy: string, idempotencyKey: string): JournaledCapture | undefined {
    const row = this.#database
      .prepare('SELECT * FROM captures WHERE requested_by = ? AND idempotency_key = ?')
      .get(requestedBy, idempotencyKey);
    return row === undefined ? undefined : this.#read(row);
  }

  /** One that cannot be read and is not sealed is set aside, or its node would be busy for ever. Throws database_unusable. */
  #read(row: Record<string, unknown>): JournaledCapture {
    try {
      return toCapture(row);
    } catch (fault) {
      const why = fault instanceof Error ? fault.message : String(fault);
      const captureId = String(row.id);
      if (isUnsealed(row.phase))
        transact(this.#database, () => {
          setCaptureAside(this.#database, captureId, why);
          const at = new Date().toISOString();
          this.audit.append({ at, captureId, actor: 'collector', action: 'quarantined', detail: { why } });
        });
      throw fault;
    }
  }

  /** Throws capture_unknown, database_unusable. */
  get(captureId: string): JournaledCapture {
    const capture = this.find(captureId);
    if (capture !== undefined) return capture;
    throw new Fault('capture_unknown', `there is no capture ${captureId}: list them with 'kcorder get captures'`);
  }

  /** The containers that were named when the acquisition began. */
  containersOf(captureId: string): readonly NamedContainer[] {
    const row = this.#database.prepare('SELECT containers FROM named_containers WHERE capture_id = ?').get(captureId);
    return row === undefined ? [] : decode<NamedContainer[]>(String(row.containers));
  }

  /** Newest first, without those that cannot be read; `before` is the last one of the page before. */
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
      .flatMap((row) => {
        try {
          return this.#read(row);
        } catch (fault) {
          this.#damaged(fault);
          return [];
        }
      });
  }

  /** Applies an event. A refused step changes nothing. Throws storage_failed. */
  apply(captureId: string, event: CaptureEvent, actor: string): Step {
    const { request, state } = this.get(captureId);
    const step = transact(this.#database, () => {
      const result = next(state, event);
      if (result.kind === 'refused') return result;
      this.#database
        .prepare('UPDATE captures SET phase = ?, state = ? WHERE id = ?')
        .run(result.state.phase, encode(result.state), captureId);
      if (event.kind === 'opened' && state.phase === 'requested') this.#noteStart(captureId, event);
      if (event.kind !== 'analysis_started' && event.kind !== 'analysis_ended') this.#noteEnd(request, result.state);
      const detail = detailOf(event, state.phase === 'requested');
      this.audit.append({ at: event.at, captureId, actor, action: event.kind, detail });
      return result;
    });
    if (step.kind === 'moved') this.#tell(captureId, 0, event);
    return step;
  }

  /** Writes the facts of an acquisition once, however often its upload is opened. */
  #noteStart(captureId: string, { at, start }: CaptureEvent & { kind: 'opened' }): void {
    this.#database.prepare('UPDATE captures SET progress_at = ? WHERE id = ?').run(at, captureId);
    if (start.containers.length === 0) return;
    this.#database.prepare('INSERT INTO named_containers VALUES (?, ?)').run(captureId, encode(start.containers));
  }

  /** Keeps what is asked for by sums and conditions in columns, and opens the record of where the image is. */
  #noteEnd({ id: captureId, schedule }: Request, state: CaptureState): void {
    if (!('endedAt' in state)) return;
    const { outcome, endedAt } = state;
    const reason = 'reason' in outcome ? outcome.reason : '';
    this.#database
      .prepare('UPDATE captures SET outcome = ?, outcome_reason = ?, ended_at = ? WHERE id = ?')
      .run(outcome.kind, reason, endedAt, captureId);
    if (state.evidence === undefined) return;
    // Who triggers a round asks for its captures: a schedule's retention neither covers nor counts them.
    const maker = schedule === undefined || schedule.triggered ? '' : schedule.name;
    this.#database
      .prepare(
        `INSERT INTO storage (capture_id, node_name, schedule, sealed_at, complete, image_bytes, stored_bytes)
         SELECT id, node_name, ?1, ?2, ?3, ?4, ?4 FROM captures WHERE id = ?5`,
      )
      .run(maker, endedAt, outcome.kind === 'complete' ? 1 : 0, state.evidence.bytes, captureId);
  }

  /** Moves the durable offset forward; bytes before it must be on disk already. Throws storage_failed, capture_unknown. */
  advance(captureId: string, durableBytes: number): void {
    const at = new Date().toISOString();
    const addedBytes = transact(this.#database, () => {
      const before = this.#database.prepare('SELECT durable_bytes FROM captures WHERE id = ?').get(captureId);
      if (before === undefined) throw new Fault('capture_unknown', `there is no capture ${captureId} any more`);
      this.#database
        .prepare('UPDATE captures SET durable_bytes = ?, progress_at = ? WHERE id = ?')
        .run(durableBytes, at, captureId);
      return durableBytes - Number(before.durable_bytes);
    });
    this.#tell(captureId, addedBytes);
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

  #tell(captureId: string, addedBytes: number, event?: CaptureEvent): void {
    let read: JournaledCapture | undefined;
    const capture = () => {
      read ??= this.get(captureId);
      return read;
    };
    for (const changed of this.#watchers) changed({ captureId, capture, addedBytes, ...(event && { event }) });
  }
}
