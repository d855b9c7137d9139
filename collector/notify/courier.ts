import { Worker } from '../background/worker.ts';
import type { Outbox } from '../journal/outbox.ts';
import { type Delivery, deliver } from './deliver.ts';
import type { Notification } from './notification.ts';
import type { Webhook } from './webhooks.ts';

/** Times of telling, in milliseconds. */
export interface Pace {
  /** Before the second attempt; doubled for each further one. */
  readonly firstMs: number;
  readonly longestMs: number;
  /** Of one attempt. */
  readonly deadlineMs: number;
  /** How long the first of a topic waits for others. */
  readonly gatherMs: number;
  /** At most one notification of a topic in this time. */
  readonly quietMs: number;
}

export const usualPace: Pace = {
  firstMs: 1000,
  longestMs: 900_000,
  deadlineMs: 10_000,
  gatherMs: 10_000,
  quietMs: 900_000,
};

export interface CourierEvents {
  attempted(webhook: string, result: 'sent' | 'failed'): void;
  /** It will not be tried again. */
  refused(webhook: string, id: string, reason: string): void;
  /** `failures` in a row, this one included. */
  postponed(webhook: string, reason: string, failures: number): void;
  broken(webhook: string, error: unknown): void;
}

const idleMs = 60_000;
const brokenMs = 15_000;

/**
 * Tells one webhook what waits for it, one after the other. One that fails is tried again later while others go on; when one after the other
 * fails, the webhook as a whole is left alone for a while.
 */
export class Courier {
  readonly #outbox: Outbox;
  readonly #pace: Pace;
  readonly #events: CourierEvents;
  readonly #worker: Worker;
  #webhook: Webhook;
  #failures = 0;
  #pausedUntilMs = 0;

  constructor(outbox: Outbox, webhook: Webhook, pace: Pace, events: CourierEvents) {
    this.#outbox = outbox;
    this.#webhook = webhook;
    this.#pace = pace;
    this.#events = events;
    this.#worker = new Worker({
      step: (signal) => this.#step(signal),
      failed: (error) => events.broken(this.#webhook.name, error),
      retryMs: () => brokenMs,
    });
    this.wake();
  }

  get webhook(): Webhook {
    return this.#webhook;
  }

  /** The webhook's settings have changed: what stood in the way may be gone. */
  set webhook(webhook: Webhook) {
    this.#webhook = webhook;
    this.#failures = 0;
    this.#pausedUntilMs = 0;
    this.wake();
  }

  /** Something new may be due. */
  wake(): void {
    this.#worker.wake();
  }

  /** Ends the attempt that runs; what it was about is sent again some day. */
  async close(): Promise<void> {
    await this.#worker.close();
  }

  /** At most one attempt. Gives how long there is nothing to do. */
  async #step(signal: AbortSignal): Promise<number> {
    const webhook = this.#webhook;
    const nowMs = Date.now();
    if (nowMs < this.#pausedUntilMs) return this.#pausedUntilMs - nowMs;
    const claimed = this.#outbox.claim(webhook.name, new Date(nowMs).toISOString());
    if (claimed === undefined) {
      const due = this.#outbox.nextDue(webhook.name);
      return due === undefined ? idleMs : Math.min(Math.max(Date.parse(due) - nowMs, 1), idleMs);
    }
    const notification = JSON.parse(claimed.body) as Notification;
    const delivery = await deliver(webhook, notification, this.#pace.deadlineMs, signal);
    this.#note(webhook, claimed.id, claimed.attempts, delivery);
    return 0;
  }

  #note(webhook: Webhook, id: string, attempts: number, delivery: Delivery): void {
    this.#events.attempted(webhook.name, delivery.kind === 'delivered' ? 'sent' : 'failed');
    switch (delivery.kind) {
      case 'delivered':
        this.#failures = 0;
        this.#outbox.settle(id, 'sent', '');
        break;
      case 'refused':
        this.#outbox.settle(id, 'failed', delivery.reason);
        // What comes next may be refused too: while a receiver is set up wrongly, little is lost.
        this.#leaveAlone(webhook, 0);
        this.#events.refused(webhook.name, id, delivery.reason);
        break;
      case 'failed': {
        const waitMs = Math.max(this.#backoffMs(attempts), delivery.retryAfterMs);
        this.#outbox.postpone(id, new Date(Date.now() + waitMs).toISOString(), delivery.reason);
        this.#leaveAlone(webhook, delivery.retryAfterMs);
        this.#events.postponed(webhook.name, delivery.reason, this.#failures);
        break;
      }
    }
  }

  #leaveAlone(webhook: Webhook, leastMs: number): void {
    // New settings that came meanwhile owe nothing to the old ones.
    if (webhook !== this.#webhook) return;
    this.#failures += 1;
    this.#pausedUntilMs = Date.now() + Math.max(this.#backoffMs(this.#failures), leastMs);
  }

  /** Between half of it and all of it, so that many do not come back at once. */
  #backoffMs(failures: number): number {
    const { firstMs, longestMs } = this.#pace;
    return Math.min(firstMs * 2 ** Math.min(failures - 1, 30), longestMs) * (0.5 + Math.random() / 2);
  }
}
