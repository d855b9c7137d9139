import type { AuditVerdict } from '../journal/audit-check.ts';
import type { AuditLog } from '../journal/audit-log.ts';
import type { Scrape } from './scrape.ts';

/** Hex digits of a hash that a sample can hold exactly. */
const digits = 12;

/** The audit log: its newest record, told where it cannot be taken back, and whether its chain holds. */
export class AuditSeries {
  readonly #intact;
  readonly #checkedAt;

  constructor(scrape: Scrape, log: AuditLog) {
    const sequence = scrape.gauge('kcorder_audit_head_sequence', 'Number of the newest record of the audit log.');
    const hash = scrape.gauge(
      'kcorder_audit_head_hash',
      `The first ${digits} hex digits of the hash of that record, as a number: with the sequence it shows later whether the log still holds it.`,
    );
    this.#intact = scrape.gauge(
      'kcorder_audit_chain_intact',
      'Whether the last check found each record to follow from the one before it; not there before the first one of the whole log.',
    );
    this.#checkedAt = scrape.gauge(
      'kcorder_audit_chain_checked_timestamp_seconds',
      'When the whole audit log was checked last; not there before.',
    );
    // A gauge begins with 0, which would be a finding.
    this.#intact.remove();
    this.#checkedAt.remove();
    scrape.read(() => {
      const head = log.head();
      sequence.set(head.seq);
      hash.set(Number.parseInt(head.hash.slice(0, digits) || '0', 16));
    });
  }

  checked({ broken }: AuditVerdict, whole: boolean): void {
    // That the newest part is well says nothing of what is before it.
    if (broken !== undefined) this.#intact.set(0);
    else if (whole) this.#intact.set(1);
    if (whole) this.#checkedAt.set(Date.now() / 1000);
  }
}
