import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { makeAuthority } from '../../test/certificates.ts';
import { CaptureJournal } from '../journal/captures.ts';
import { openDatabase } from '../journal/database.ts';
import { Outbox } from '../journal/notifications.ts';
import { until } from '../testing/files.ts';
import { events as captureEvents, request } from '../testing/states.ts';
import type { Pace } from './courier.ts';
import { Notifier } from './notifier.ts';
import { inTurn, never, Receiver, status } from './testing/receiver.ts';
import { parseWebhooks, type Webhook } from './webhooks.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-notify-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const secret = 'a secret of some length';
const pace: Pace = { firstMs: 10, longestMs: 80, deadlineMs: 60_000, gatherMs: 40, quietMs: 120 };

function webhook(name: string, url: string, more: Record<string, unknown> = {}): Webhook {
  const entry = { name, url, format: 'kcorder', secret, ...more };
  const read = parseWebhooks(JSON.stringify({ webhooks: [entry] }));
  if (read.kind === 'wrong') throw new Error(read.errors.join());
  const [only] = read.webhooks;
  if (only === undefined) throw new Error('no webhook');
  return only;
}

/** A notifier on a database of its own, with two captures. */
class Desk {
  readonly dataDir = mkdtempSync(join(dir, 'data-'));
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
  }
}

test('a delivery is signed, named, and whole', async () => {
  using receiver = await Receiver.open(status(204));
  await using desk = new Desk();
  desk.use(webhook('soc', receiver.url));
  desk.deleted();
  const [first] = await receiver.count(1);
  expect(first?.json).toMatchObject({
    format: 'kcorder-notification/1',
    event: 'evidence_deleted',
    cluster: 'prod',
    capture: { id: 'c-1' },
  });
  expect(first?.headers).toMatchObject({
    'content-type': 'application/json; charset=utf-8',
    'kcorder-delivery': first?.json.id,
  });
  const [, time, hex] = /^t=(\d+),v1=(.*)$/.exec(String(first?.headers['kcorder-signature'])) ?? [];
  expect(hex).toBe(createHmac('sha256', secret).update(`${time}.${first?.body}`).digest('hex'));
});

test('the verifying lines of the documentation take what is ours and refuse the rest', async () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/notifications.md'), 'utf8');
  const path = join(dir, 'verify.mjs');
  writeFileSync(path, /```js\n(.*?)```/s.exec(text)?.[1] ?? '');
  const { isGenuine } = (await import(pathToFileURL(path).href)) as {
    isGenuine(headers: object, body: string, secret: string, nowSeconds?: number): boolean;
  };
  using receiver = await Receiver.open(status(200));
  await using desk = new Desk();
  desk.use(webhook('soc', receiver.url));
  desk.deleted();
  const [first] = await receiver.count(1);
  const { headers = {}, body = '' } = first ?? {};
  expect(isGenuine(headers, body, secret)).toBe(true);
  expect(isGenuine(headers, `${body} `, secret)).toBe(false);
  expect(isGenuine(headers, body, 'another secret, as long')).toBe(false);
  expect(isGenuine(headers, body, secret, Date.now() / 1000 + 301)).toBe(false);
  expect(isGenuine({}, body, secret)).toBe(false);
});

test('Slack gets its own form, without a signature', async () => {
  using receiver = await Receiver.open(status(200));
  await using desk = new Desk();
  desk.use(webhook('chat', receiver.url, { format: 'slack', secret: undefined }));
  desk.deleted();
  const [first] = await receiver.count(1);
  expect(first?.json).toMatchObject({
    text: expect.stringContaining('deleted by operator/alice'),
    blocks: { length: 3 },
  });
  expect(first?.headers).not.toHaveProperty('kcorder-signature');
});

test.each([
  ['500 twice', inTurn(status(500), status(503), status(200)), ['http_500', 'http_503'], 60_000],
  ['408', inTurn(status(408), status(200)), ['http_408'], 60_000],
  ['a broken line', inTurn((response) => void response.socket?.destroy(), status(200)), ['ECONNRESET'], 60_000],
  ['no answer in time', inTurn(never, status(200)), ['timeout'], 250],
])('after %s it is sent again, with the same id and body', async (_sentence, answer, reasons, deadlineMs) => {
  using receiver = await Receiver.open(answer);
  await using desk = new Desk({ deadlineMs });
  desk.use(webhook('soc', receiver.url));
  desk.deleted();
  const received = await receiver.count(reasons.length + 1);
  expect(new Set(received.map(({ body }) => body)).size).toBe(1);
  expect(new Set(received.map(({ headers }) => headers['kcorder-delivery'])).size).toBe(1);
  await until(() => desk.said.at(-1) === 'soc sent');
  expect(desk.said).toEqual([...reasons.flatMap((reason) => ['soc failed', `soc postponed ${reason}`]), 'soc sent']);
});

test.each([
  ['410', status(410), 'http_410'],
  ['400', status(400), 'http_400'],
  ['a redirect', status(307, { location: 'http://127.0.0.1:1/' }), 'http_307'],
])('%s is final', async (_sentence, answer, reason) => {
  using receiver = await Receiver.open(inTurn(answer, status(200)));
  await using desk = new Desk();
  desk.use(webhook('soc', receiver.url));
  desk.deleted();
  await until(() => desk.said.includes(`soc refused ${reason}`));
  desk.deleted('c-2');
  const received = await receiver.count(2);
  expect(received.map(({ json }) => json.capture)).toMatchObject([{ id: 'c-1' }, { id: 'c-2' }]);
  await until(() => desk.said.at(-1) === 'soc sent');
  expect(desk.states()).toMatchObject([{ state: 'failed', reason }, { state: 'sent' }]);
});

test('Retry-After is waited for', async () => {
  using receiver = await Receiver.open(inTurn(status(429, { 'retry-after': '1' }), status(200)));
  await using desk = new Desk();
  desk.use(webhook('soc', receiver.url));
  desk.deleted();
  const [first, second] = await receiver.count(2);
  expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990);
});

test('an answer without an end holds nothing up', async () => {
  using receiver = await Receiver.open((response) => {
    response.writeHead(200);
    const chunk = Buffer.alloc(65_536);
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
      response.once('drain', more);
    };
    more();
  });
  await using desk = new Desk();
  desk.use(webhook('soc', receiver.url));
  desk.deleted();
  desk.deleted('c-2');
  await receiver.count(2);
  await until(() => desk.said.filter((text) => text === 'soc sent').length === 2);
});

test('a webhook that is down is tried ever more rarely, and told all when it is up', async () => {
  const down = await Receiver.open(status(200));
  down[Symbol.dispose]();
  await using desk = new Desk();
  desk.use(webhook('soc', down.url));
  desk.deleted();
  desk.deleted('c-2');
  await until(() => desk.said.filter((text) => text.startsWith('soc postponed ECONNREFUSED')).length >= 4);
  using up = await Receiver.open(status(200));
  desk.notifier.use([webhook('soc', up.url)]);
  const received = await up.count(2);
  expect(received.map(({ json }) => (json.capture as { id: string }).id).sort()).toEqual(['c-1', 'c-2']);
});

test('a certificate of an authority that nobody knows is not spoken to', async () => {
  const leaf = makeAuthority(join(dir, 'authority')).server();
  using receiver = await Receiver.open(status(200), { certificate: leaf.certificate, key: leaf.key });
  await using desk = new Desk();
  desk.use(webhook('soc', receiver.url));
  desk.deleted();
  await until(() => desk.said.some((text) => /postponed (UNABLE_TO|SELF_SIGNED|DEPTH_ZERO)/.test(text)));
  expect(receiver.received).toEqual([]);
});

test('one webhook that hangs holds up no other, and each has one delivery at a time', async () => {
  using hanging = await Receiver.open(never);
  using working = await Receiver.open(status(200));
  await using desk = new Desk();
  desk.use(webhook('hangs', hanging.url), webhook('works', working.url));
  desk.deleted();
  desk.deleted('c-2');
  await working.count(2);
  await hanging.settle();
  expect([hanging.received.length, hanging.mostAtOnce, working.mostAtOnce]).toEqual([1, 1, 1]);
});

test('one that is never taken holds up no other of the same webhook', async () => {
  using receiver = await Receiver.open((response, nth) => {
    response.writeHead(receiver.received[nth]?.body.includes('c-1') ? 500 : 200).end();
  });
  await using desk = new Desk();
  desk.use(webhook('soc', receiver.url));
  desk.deleted();
  await receiver.count(2);
  desk.deleted('c-2');
  await until(() => desk.said.includes('soc sent'));
});

test('the same thing is told once, and only to those who asked for it', async () => {
  using all = await Receiver.open(status(200));
  using few = await Receiver.open(status(200));
  await using desk = new Desk();
  desk.use(
    webhook('all', all.url),
    webhook('few', few.url, { events: ['evidence_deleted', 'finding'], minSeverity: 'critical' }),
  );
  for (const captureId of ['c-1', 'c-1', 'c-2']) desk.deleted(captureId);
  desk.notifier.tell({
    kind: 'finding',
    captureId: 'c-1',
    findings: [{ severity: 'info', rule: 'executable_deleted' }],
  });
  for (const _ of [1, 2])
    desk.notifier.tell({
      kind: 'finding',
      captureId: 'c-2',
      findings: [{ severity: 'critical', rule: 'hidden_module' }],
    });
  await all.count(3);
  await few.count(1);
  await all.settle();
  expect(all.received.map(({ json }) => json.event)).toEqual(['evidence_deleted', 'evidence_deleted', 'finding']);
  expect(few.received.map(({ json }) => json.event)).toEqual(['finding']);
});

test('missed runs are joined, and what comes later waits for its turn', async () => {
  using receiver = await Receiver.open(status(200));
  await using desk = new Desk();
  desk.use(webhook('soc', receiver.url));
  for (let nth = 0; nth < 1000; nth += 1)
    desk.notifier.tell({ kind: 'run_missed', schedule: 'nightly', reason: 'node_offline' });
  desk.notifier.tell({ kind: 'run_missed', schedule: 'weekly', reason: 'late' });
  await receiver.count(2);
  for (let nth = 0; nth < 3; nth += 1) desk.notifier.tell({ kind: 'run_missed', schedule: 'nightly', reason: 'late' });
  const received = await receiver.count(3);
  expect(received.map(({ json }) => [json.count, json.runs])).toEqual([
    [1000, { schedule: 'nightly', reasons: { node_offline: 1000 } }],
    [1, { schedule: 'weekly', reasons: { late: 1 } }],
    [3, { schedule: 'nightly', reasons: { late: 3 } }],
  ]);
  const [first, , third] = received;
  expect((third?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(pace.quietMs - pace.gatherMs);
});

test('the end of a capture and a failed analysis are told by themselves', async () => {
  using receiver = await Receiver.open(status(200));
  await using desk = new Desk();
  desk.use(webhook('soc', receiver.url));
  desk.captures.apply('c-1', captureEvents.refused, 'agent');
  const { opened, finished, sealed, analysis_started: started } = captureEvents;
  for (const event of [opened, { ...finished, durableBytes: 100 }, sealed, started])
    desk.captures.apply('c-2', event, 'agent');
  const ending = { kind: 'failed', reason: 'timeout', detail: '' } as const;
  desk.captures.apply('c-2', { ...captureEvents.analysis_ended, ending }, 'collector');
  const received = await receiver.count(3);
  expect(received.map(({ json }) => json.event)).toEqual(['capture_failed', 'capture_complete', 'analysis_failed']);
});

test('what was journaled while nobody could tell is found later and told once; what came before the webhook is not told', async () => {
  using receiver = await Receiver.open(status(200));
  await using desk = new Desk();
  desk.captures.apply('c-1', captureEvents.refused, 'agent');
  desk.use(webhook('soc', receiver.url));
  await desk.notifier.close();
  // As if the collector had been killed between the two changes on disk.
  desk.captures.apply('c-2', captureEvents.expired, 'collector');
  for (let nth = 0; nth < 2; nth += 1) {
    desk.notifier = desk.make();
    desk.use(webhook('soc', receiver.url));
    await receiver.count(1);
    await receiver.settle();
    await desk.notifier.close();
  }
  expect(receiver.received.map(({ json }) => json.capture)).toMatchObject([{ id: 'c-2' }]);
});

test('a disk that takes nothing breaks nobody who tells, and the capture is told when it does again', async () => {
  using receiver = await Receiver.open(status(200));
  await using desk = new Desk();
  desk.use(webhook('soc', receiver.url));
  desk.database.exec(
    `CREATE TRIGGER full BEFORE INSERT ON notifications BEGIN SELECT RAISE(FAIL, 'the disk is full'); END`,
  );
  desk.captures.apply('c-1', captureEvents.refused, 'agent');
  desk.deleted();
  expect(desk.said).toEqual(['not written', 'not written']);
  desk.database.exec('DROP TRIGGER full');
  desk.captures.apply('c-2', captureEvents.refused, 'agent');
  const received = await receiver.count(2);
  expect(received.map(({ json }) => [json.event, json.capture])).toMatchObject([
    ['capture_failed', { id: 'c-1' }],
    ['capture_failed', { id: 'c-2' }],
  ]);
});

test('with nobody to tell, nothing is written', async () => {
  await using desk = new Desk();
  desk.use();
  desk.deleted();
  desk.captures.apply('c-1', captureEvents.refused, 'agent');
  expect([desk.states(), desk.said]).toEqual([[], []]);
});
