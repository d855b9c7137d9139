import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CaptureJournal } from '../../journal/capture-journal.ts';
import { openDatabase } from '../../journal/database.ts';
import { Outbox } from '../../journal/outbox.ts';
import { request } from '../../testing/states.ts';
import type { Pace } from '../courier.ts';
import { Notifier } from '../notifier.ts';
import { parseWebhooks, type Webhook } from '../webhooks.ts';

export const secret = 'a secret of some length';
const pace: Pace = { firstMs: 10, longestMs: 80, deadlineMs: 60_000, gatherMs: 40, quietMs: 120 };

/** A webhook as a file would have it. */
export function webhook(name: string, url: string, more: Record<string, unknown> = {}): Webhook {
  const entry = { name, url, format: 'kcorder', secret, ...more };
  const read = parseWebhooks(JSON.stringify({ webhooks: [entry] }));
  if (read.kind === 'wrong') throw new Error(read.errors.join());
  const [only] = read.webhooks;
  if (only === undefined) throw new Error('no webhook');
  return only;
}

/** A notifier on a database of its own, with two captures. */
export class Desk {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'kcorder-desk-'));
  readonly database = openDatabase(this.dataDir);
  readonly captures = new CaptureJournal(this.database);
  readonly said: string[] = [];
  notifier: Notifier;

  constructor(changes: Partial<Pace> = {}) {
    for (const id of ['c-1', 'c-2'])
      this.captures.create({ ...request, id, node: { name: `n${id}`, uid: id } }, id, 10_000);
    this.notifier = this.make({ ...pace, ...changes });
  }

  make(changed: Pace = pace): Notifier {
    const say = (text: string) => void this.said.push(text);
    return new Notifier(
      new Outbox(this.database),
      this.captures,
      'prod',
      {
        attempted: (name, result) => say(`${name} ${result}`),
        refused: (name, _id, reason) => say(`${name} refused ${reason}`),
        postponed: (name, reason) => say(`${name} postponed ${reason}`),
        broken: (name) => say(`${name} broken`),
        notWritten: () => say('not written'),
        crowdedOut: (name) => say(`${name} crowded`),
        givenUp: (count) => say(`given up ${count}`),
      },
      changed,
    );
  }

  use(...webhooks: Webhook[]): void {
    this.notifier.use(webhooks);
    this.notifier.start();
  }

  deleted(captureId = 'c-1'): void {
    this.notifier.tell({ kind: 'evidence_deleted', captureId, by: 'operator/alice' });
  }

  states(): unknown[] {
    return this.database.prepare('SELECT webhook, state, reason FROM notifications ORDER BY rowid').all();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.notifier.close();
    this.database.close();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}
