// Why it is done this way: docs/decisions/027-analysing-again.md

import type { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import { Fault } from '@kcorder/proto/fault.ts';
import type { AnalysisEnding, AnalysisSpec } from '../capture/capture.ts';
import { AuditLog } from './audit-log.ts';
import { transact } from './database.ts';
import { decode, encode } from './encode.ts';

/** How far the latest analysis of a capture is that was asked for after its own had ended. */
export type Reanalysis =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'running' }
  /** It takes the place of the ending of the capture's own analysis. */
  | { readonly kind: 'ended'; readonly ending: AnalysisEnding };

/**
 * Wishes to have ended captures analysed again; their own states are final and stay as they are. Every change is one transaction with its audit
 * record. What was running when a collector ended waits again. Writing throws storage_failed.
 */
export class Reanalyses {
  readonly #database: DatabaseSync;
  readonly #audit: AuditLog;
  readonly #watchers = new Set<(captureId: string) => void>();
  #running: string | undefined;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#audit = new AuditLog(database);
  }

  /** Undefined when it was never asked for. */
  get(captureId: string): Reanalysis | undefined {
    const row = this.#database.prepare('SELECT ending FROM analyses_again WHERE capture_id = ?').get(captureId);
    if (row === undefined) return undefined;
    if (row.ending !== '') return { kind: 'ended', ending: decode<AnalysisEnding>(String(row.ending)) };
    return { kind: captureId === this.#running ? 'running' : 'waiting' };
  }

  /**
   * Puts a wish on record; without a spec it is for the default profile. One that waits or runs stays as it is, and one for something else beside it
   * is refused as capture_running.
   */
  ask(captureId: string, actor: string, spec?: AnalysisSpec): void {
    const known = this.get(captureId);
    if (known !== undefined && known.kind !== 'ended') {
      if (isDeepStrictEqual(this.specOf(captureId), spec)) return;
      throw busy(captureId, known.kind);
    }
    const at = new Date().toISOString();
    transact(this.#database, () => {
      this.#database
        .prepare(
          `INSERT INTO analyses_again (capture_id, requested_at, requested_by, spec) VALUES (?1, ?2, ?3, ?4)
           ON CONFLICT (capture_id) DO UPDATE SET requested_at = ?2, requested_by = ?3, spec = ?4, ending = '', begun = 0`,
        )
        .run(captureId, at, actor, spec === undefined ? '' : encode(spec));
      this.#audit.append({ at, captureId, actor, action: 'analysis_asked', detail: spec ?? {} });
    });
    this.tell(captureId);
  }

  /** Returns what the latest wish is for; undefined for the default profile, or if there was none. */
  specOf(captureId: string): AnalysisSpec | undefined {
    const row = this.#database.prepare('SELECT spec FROM analyses_again WHERE capture_id = ?').get(captureId);
    return row === undefined || row.spec === '' ? undefined : decode<AnalysisSpec>(String(row.spec));
  }

  /** Puts on record that somebody stops an analysis of a capture, its own or another; call it before that is done. */
  noteCancel(captureId: string, actor: string): void {
    const at = new Date().toISOString();
    transact(this.#database, () =>
      this.#audit.append({ at, captureId, actor, action: 'analysis_canceled', detail: {} }),
    );
  }

  /** The capture whose wish has waited longest. */
  next(): string | undefined {
    const row = this.#database
      .prepare(`SELECT capture_id FROM analyses_again WHERE ending = '' ORDER BY requested_at, rowid LIMIT 1`)
      .get();
    return row && String(row.capture_id);
  }

  /** How often the analysis that waits was begun, and not ended. */
  begun(captureId: string): number {
    const row = this.#database.prepare('SELECT begun FROM analyses_again WHERE capture_id = ?').get(captureId);
    return Number(row?.begun ?? 0);
  }

  /** The analysis begins. */
  begin(captureId: string): void {
    transact(this.#database, () =>
      this.#database.prepare('UPDATE analyses_again SET begun = begun + 1 WHERE capture_id = ?').run(captureId),
    );
    this.#running = captureId;
    this.tell(captureId);
  }

  /** The analysis has ended like this. */
  end(captureId: string, ending: AnalysisEnding): void {
    const at = new Date().toISOString();
    transact(this.#database, () => this.#putEnd(captureId, at, ending));
    if (this.#running === captureId) this.#running = undefined;
    this.tell(captureId);
  }

  #putEnd(captureId: string, at: string, ending: AnalysisEnding): void {
    this.#database.prepare('UPDATE analyses_again SET ending = ? WHERE capture_id = ?').run(encode(ending), captureId);
    this.#audit.append({ at, captureId, actor: 'collector', action: 'analysed_again', detail: ending });
  }

  /**
   * Ends a wish that waits, since its evidence is to be deleted; call it in the transaction of the deletion, and `tell` after it. Nothing waits: no
   * change. False while it runs.
   */
  giveUp(captureId: string, at: string): boolean {
    const wish = this.get(captureId);
    if (wish?.kind === 'running') return false;
    if (wish?.kind === 'waiting') this.#putEnd(captureId, at, evidenceIsDeleted);
    return true;
  }

  /** Calls back at every change, until the returned function is called. */
  watch(changed: (captureId: string) => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Tells those who watch that a wish has changed. */
  tell(captureId: string): void {
    for (const changed of this.#watchers) changed(captureId);
  }
}

const busy = (captureId: string, state: 'waiting' | 'running'): Fault =>
  new Fault(
    'capture_running',
    `another analysis of capture ${captureId} is ${state}: wait for its end, or stop it with 'kcorder cancel ${captureId} --analysis'`,
  );

const evidenceIsDeleted: AnalysisEnding = {
  kind: 'skipped',
  reason: 'evidence_deleted',
  detail: 'the evidence was deleted before its turn came',
};
