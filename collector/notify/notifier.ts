// Why it is done this way: docs/decisions/019-notifications.md

import { randomUUID } from 'node:crypto';
import type { CaptureJournal, Change } from '../journal/capture-journal.ts';
import type { Outbox, Waiting } from '../journal/outbox.ts';
import { Courier, type CourierEvents, type Pace, usualPace } from './courier.ts';
import { captureEvent, type NotifiedEvent, severities } from './event.ts';
import { type Facts, factsOf, joinFacts, keyOf, topicOf } from './facts.ts';
import { compose, type Notification } from './notification.ts';
import type { Webhook } from './webhooks.ts';

/** What is told to whoever listens: metrics and the log. */
export interface NotifierEvents extends CourierEvents {
  /** An event could not be written down. Those of captures are taken up again by themselves. */
  notWritten(error: unknown): void;
  /** Too many wait for a webhook: an older one was given up. */
  crowdedOut(webhook: string): void;
  /** So many waited for a day, and are given up. */
  givenUp(count: number): void;
}

const tendMs = 15_000;
const dayMs = 86_400_000;
const keptMs = 7 * dayMs;
const pageRecords = 1000;

/**
 * Tells webhooks what has happened. What is told is written down first, so it is told at least once, whatever kills the collector; how the end
 * of a capture that was journaled but not written down here is found by the audit log.
 */
export class Notifier {
  readonly #outbox: Outbox;
  readonly #captures: CaptureJournal;
  readonly #cluster: string;
  readonly #events: NotifierEvents;
  readonly #pace: Pace;
  readonly #couriers = new Map<string, Courier>();
  readonly #missed: (NotifiedEvent & { kind: 'run_missed' })[] = [];
  #stopWatching: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  #started = false;
  #behind = true;

  constructor(outbox: Outbox, captures: CaptureJournal, cluster: string, events: NotifierEvents, pace = usualPace) {
    this.#outbox = outbox;
    this.#captures = captures;
    this.#cluster = cluster;
    this.#events = events;
    this.#pace = pace;
  }

  /** Names of those who are told. */
  get names(): string[] {
    return [...this.#couriers.keys()];
  }

  /** Tells these from now on. */
  use(webhooks: readonly Webhook[]): void {
    for (const [name, courier] of this.#couriers) {
      if (webhooks.some((webhook) => webhook.name === name)) continue;
      this.#couriers.delete(name);
      void courier.close();
    }
    for (const webhook of webhooks) {
      const known = this.#couriers.get(webhook.name);
      if (known === undefined)
        this.#couriers.set(webhook.name, new Courier(this.#outbox, webhook, this.#pace, this.#events));
      else known.webhook = webhook;
    }
    if (this.#started) this.#tend();
  }

  /** Takes up what a killed collector left, and listens to the captures. */
  start(): void {
    this.#started = true;
    this.#stopWatching = this.#captures.watch((change) => this.#changed(change));
    this.#timer = setInterval(() => this.#tend(), tendMs);
    this.#timer.unref();
    this.#tend();
  }

  /** Never throws. Who is told, and that nobody is told twice, is this class's business. The ends of captures come by themselves. */
  tell(event: NotifiedEvent): void {
    if (this.#couriers.size === 0) return;
    if (event.kind !== 'run_missed') this.#guard(() => this.#put([event]));
    // A thousand nodes can miss the same tick: that is one change on disk.
    else if (this.#missed.push(event) === 1) setImmediate(() => this.#flush());
  }

  async close(): Promise<void> {
    this.#stopWatching();
    clearInterval(this.#timer);
    this.#flush();
    await Promise.all([...this.#couriers.values()].map((courier) => courier.close()));
  }

  #flush(): void {
    const missed = this.#missed.splice(0);
    const counts = new Map<string, NotifiedEvent & { kind: 'run_missed' }>();
    for (const { kind, schedule, reason, count = 1 } of missed) {
      const key = JSON.stringify([schedule, reason]);
      counts.set(key, { kind, schedule, reason, count: count + (counts.get(key)?.count ?? 0) });
    }
    if (counts.size > 0) this.#guard(() => this.#put([...counts.values()]));
  }

  #changed({ capture, event }: Change): void {
    if (event === undefined || this.#couriers.size === 0) return;
    const told = captureEvent(event.kind, capture());
    if (told === undefined) return;
    // What could not be written before comes first: it lies before this one in the audit log.
    if (this.#behind) this.#catchUp();
    else this.#behind = !this.#guard(() => this.#put([told], this.#outbox.newestRecord()));
  }

  #tend(): void {
    if (this.#couriers.size === 0) {
      this.#behind = true;
      this.#guard(() => this.#outbox.endReading());
      return;
    }
    if (this.#behind) this.#catchUp();
    const now = Date.now();
    this.#guard(() => {
      const count = this.#outbox.giveUp(new Date(now - dayMs).toISOString());
      if (count > 0) this.#events.givenUp(count);
      this.#outbox.prune(new Date(now - keptMs).toISOString());
    });
  }

  #catchUp(): void {
    this.#behind = !this.#guard(() => {
      this.#outbox.beginReading();
      for (;;) {
        const records = this.#outbox.unread(pageRecords);
        const last = records.at(-1);
        if (last === undefined) return;
        const events = records.flatMap(({ captureId, action }) => {
          const capture = captureId === '' ? undefined : this.#captures.find(captureId);
          return (capture && captureEvent(action, capture)) ?? [];
        });
        this.#put(events, last.seq);
      }
    });
  }

  #put(events: readonly NotifiedEvent[], readThrough?: number): void {
    const waiting = events.flatMap((event) => this.#waiting(event));
    if (waiting.length === 0 && readThrough === undefined) return;
    for (const webhook of this.#outbox.put(waiting, readThrough)) this.#events.crowdedOut(webhook);
    for (const webhook of new Set(waiting.map((one) => one.webhook))) this.#couriers.get(webhook)?.wake();
  }

  #waiting(event: NotifiedEvent): Waiting[] {
    const capture = 'captureId' in event ? this.#captures.find(event.captureId) : undefined;
    const nowMs = Date.now();
    const at = new Date(nowMs).toISOString();
    const facts = factsOf(event, capture, at, this.#cluster);
    if (event.kind === 'finding' && facts.severity === 'info') return [];
    const topic = topicOf(event);
    const dueAt = topic === undefined ? at : new Date(nowMs + this.#pace.gatherMs).toISOString();
    return [...this.#couriers.values()]
      .map(({ webhook }) => webhook)
      .filter(({ events, minSeverity }) => events.has(event.kind) && weight(facts.severity) >= weight(minSeverity))
      .map(({ name: webhook }) => {
        const id = randomUUID();
        const body = JSON.stringify(compose(id, facts));
        const one = { id, webhook, event: event.kind, key: keyOf(event, nowMs), at, body, dueAt };
        if (topic === undefined) return one;
        const join = (earlier: string) => joined(earlier, facts);
        return { ...one, joining: { topic, quietMs: this.#pace.quietMs, join } };
      });
  }

  #guard(body: () => void): boolean {
    try {
      body();
      return true;
    } catch (error) {
      this.#events.notWritten(error);
      return false;
    }
  }
}

const weight = (severity: Facts['severity']): number => severities.indexOf(severity);

function joined(earlierBody: string, later: Facts): string {
  const { id, format: _format, summary: _summary, text: _text, ...earlier } = JSON.parse(earlierBody) as Notification;
  return JSON.stringify(compose(id, joinFacts(earlier, later)));
}
