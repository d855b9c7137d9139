import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '../background/worker.ts';
import { type AuditBreak, type AuditHead, type AuditLog, auditStart } from './audit-log.ts';

/** The result of following the chain. */
export interface AuditVerdict {
  /** The newest record that follows from all before it. */
  readonly head: AuditHead;
  readonly broken?: AuditBreak;
}

/** Events of the checks. */
export interface AuditCheckEvents {
  /** The whole chain was followed, or at the start what is new since the last time. */
  checked(verdict: AuditVerdict, whole: boolean): void;
  /** A check could not be made: the disk does not answer. */
  failed(error: unknown): void;
}

const everyMs = 3_600_000;
/** Between two moments in which others have their turn: records, and milliseconds, as records can be large. */
const batch = 500;
const batchMs = 5;
/** Of one core, what a check takes at most: in the background, and when somebody waits for it. */
const share = { background: 0.2, asked: 0.5 };

/** Follows the chain of the audit log: what is new at the start, the whole every hour, and on request. */
export class AuditCheck {
  readonly #log: AuditLog;
  readonly #events: AuditCheckEvents;
  readonly #worker: Worker;
  #isFirst = true;
  #asked: Promise<AuditVerdict> | undefined;
  #askedHead = auditStart;

  constructor(log: AuditLog, events: AuditCheckEvents) {
    this.#log = log;
    this.#events = events;
    this.#worker = new Worker({
      step: () => this.#step(),
      failed: (error) => events.failed(error),
      retryMs: () => everyMs,
    });
  }

  /** Begins with what is new since the last check, which is known within moments, and goes on with the whole. */
  start(): void {
    this.#worker.wake();
  }

  async close(): Promise<void> {
    await this.#worker.close();
    await this.#asked?.catch(() => undefined);
  }

  /** How far the check has come that was asked for. */
  get askedHead(): AuditHead {
    return this.#askedHead;
  }

  /** Follows the whole chain now; whoever asks while that goes on gets the same answer. Throws storage_failed, unavailable. */
  async whole(): Promise<AuditVerdict> {
    this.#asked ??= this.#check(auditStart, share.asked, (head) => {
      this.#askedHead = head;
    }).finally(() => {
      this.#asked = undefined;
    });
    return await this.#asked;
  }

  async #step(): Promise<number> {
    const startedMs = performance.now();
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    if (isFirst) await this.#check(this.#log.checkpoint(), share.background);
    await this.#check(auditStart, share.background);
    return Math.max(0, everyMs - (performance.now() - startedMs));
  }

  async #check(from: AuditHead, ofOneCore: number, came: (head: AuditHead) => void = () => {}): Promise<AuditVerdict> {
    const verdict = await this.#follow(from, ofOneCore, came);
    // The last whole chain stays the measure: a log that was cut off must not become the new truth.
    if (verdict.broken === undefined) this.#log.noteCheckpoint(verdict.head);
    this.#events.checked(verdict, from === auditStart);
    return verdict;
  }

  async #follow(from: AuditHead, ofOneCore: number, came: (head: AuditHead) => void): Promise<AuditVerdict> {
    const contradiction = this.#log.contradiction(this.#log.checkpoint());
    let head = from;
    if (from !== auditStart && contradiction !== undefined) return { head: this.#log.head(), broken: contradiction };
    while (true) {
      const started = performance.now();
      const followed = this.#log.follow(head, batch, batchMs);
      head = followed.head;
      came(head);
      if (followed.broken !== undefined) return { head, broken: followed.broken };
      if (!followed.more) return { head, ...(contradiction && { broken: contradiction }) };
      const tookMs = performance.now() - started;
      await sleep(tookMs * (1 / ofOneCore - 1), undefined, { signal: this.#worker.signal });
    }
  }
}
