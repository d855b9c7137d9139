import type { MetricQueries } from '../journal/metric-queries.ts';
import { replace, type Scrape, seconds } from './scrape.ts';

const states = ['waiting', 'sent', 'failed'] as const;
const results = ['sent', 'failed'] as const;

/** Files that are read again when they change. */
export type ReloadedFile = 'schedules' | 'webhooks';

/** Whom we tell, and what stands in the way of telling and writing down. */
export class NotificationSeries {
  readonly #scrape: Scrape;
  readonly #queries: MetricQueries;
  readonly #attempts;
  readonly #reloads;
  readonly #writes;

  constructor(scrape: Scrape, queries: MetricQueries) {
    this.#scrape = scrape;
    this.#queries = queries;
    this.#attempts = scrape.counter(
      'kcorder_notification_attempts_total',
      'Attempts to tell a webhook something, by how they ended.',
      ['webhook', 'result'],
    );
    this.#reloads = scrape.counter(
      'kcorder_reload_failures_total',
      'Times that a changed file could not be used; what was read before stayed in use.',
      ['file'],
    );
    this.#writes = scrape.counter(
      'kcorder_journal_write_failures_total',
      'Changes that the disk did not take; the audit log is part of each, so what was to be done was not done.',
    );
    for (const file of ['schedules', 'webhooks']) this.#reloads.inc({ file }, 0);
  }

  attempted(webhook: string, result: (typeof results)[number]): void {
    this.#attempts.inc({ webhook, result });
  }

  reloadFailed(file: ReloadedFile): void {
    this.#reloads.inc({ file });
  }

  writeFailed(): void {
    this.#writes.inc();
  }

  /** Adds what is on record. `webhooks` names those that are configured. */
  watch(webhooks: () => readonly string[]): void {
    const count = this.#scrape.gauge('kcorder_notifications', 'Notifications on record, by how they stand.', [
      'webhook',
      'state',
    ]);
    const oldest = this.#scrape.gauge(
      'kcorder_notification_oldest_waiting_timestamp_seconds',
      'Since when the oldest notification waits; not there when none does.',
      ['webhook'],
    );
    this.#scrape.read(() => {
      const found = this.#queries.notifications();
      const names = new Set([...webhooks(), ...found.map(({ webhook }) => webhook)]);
      for (const webhook of names) for (const result of results) this.#attempts.inc({ webhook, result }, 0);
      const known = [...names].flatMap((webhook) => states.map((state) => ({ webhook, state })));
      replace(
        count,
        known.map((labels) => [
          labels,
          found.find((one) => one.webhook === labels.webhook && one.state === labels.state)?.count ?? 0,
        ]),
      );
      replace(
        oldest,
        found.filter(({ state }) => state === 'waiting').map(({ webhook, atMs }) => [{ webhook }, seconds(atMs)]),
      );
    });
  }
}
