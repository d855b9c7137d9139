import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { makeAuthority } from '../../tools/certificates.ts';
import { until } from '../testing/files.ts';
import { Desk, secret, webhook } from './testing/desk.ts';
import { inTurn, never, Receiver, status, switching } from './testing/receiver.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-notify-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('a delivery is signed, named, and whole', async () => {
  using receiver = await Receiver.open(status(204));
  await using orders = new Desk();
  orders.use(webhook('soc', receiver.url));
  orders.deleted();
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
  await using orders = new Desk();
  orders.use(webhook('soc', receiver.url));
  orders.deleted();
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
  await using orders = new Desk();
  orders.use(webhook('chat', receiver.url, { format: 'slack', secret: undefined }));
  orders.deleted();
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
  ['a switch to another protocol', inTurn(switching, status(200)), ['NO_ANSWER'], 60_000],
  ['no answer in time', inTurn(never, status(200)), ['timeout'], 250],
])('after %s it is sent again, with the same id and body', async (_sentence, answer, reasons, deadlineMs) => {
  using receiver = await Receiver.open(answer);
  await using orders = new Desk({ deadlineMs });
  orders.use(webhook('soc', receiver.url));
  orders.deleted();
  const received = await receiver.count(reasons.length + 1);
  expect(new Set(received.map(({ body }) => body)).size).toBe(1);
  expect(new Set(received.map(({ headers }) => headers['kcorder-delivery'])).size).toBe(1);
  await until(() => orders.said.at(-1) === 'soc sent');
  expect(orders.said).toEqual([...reasons.flatMap((reason) => ['soc failed', `soc postponed ${reason}`]), 'soc sent']);
});

test.each([
  ['410', status(410), 'http_410'],
  ['400', status(400), 'http_400'],
  ['a redirect', status(307, { location: 'http://127.0.0.1:1/' }), 'http_307'],
])('%s is final', async (_sentence, answer, reason) => {
  using receiver = await Receiver.open(inTurn(answer, status(200)));
  await using orders = new Desk();
  orders.use(webhook('soc', receiver.url));
  orders.deleted();
  await until(() => orders.said.includes(`soc refused ${reason}`));
  orders.deleted('c-2');
  const received = await receiver.count(2);
  expect(received.map(({ json }) => json.capture)).toMatchObject([{ id: 'c-1' }, { id: 'c-2' }]);
  await until(() => orders.said.at(-1) === 'soc sent');
  expect(orders.states()).toMatchObject([{ state: 'failed', reason }, { state: 'sent' }]);
});

test('Retry-After is waited for', async () => {
  using receiver = await Receiver.open(inTurn(status(429, { 'retry-after': '1' }), status(200)));
  await using orders = new Desk();
  orders.use(webhook('soc', receiver.url));
  orders.deleted();
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
  await using orders = new Desk();
  orders.use(webhook('soc', receiver.url));
  orders.deleted();
  orders.deleted('c-2');
  await receiver.count(2);
  await until(() => orders.said.filter((text) => text === 'soc sent').length === 2);
});

test('a webhook that is down is tried ever more rarely, and told all when it is up', async () => {
  const down = await Receiver.open(status(200));
  down[Symbol.dispose]();
  await using orders = new Desk();
  orders.use(webhook('soc', down.url));
  orders.deleted();
  orders.deleted('c-2');
  await until(() => orders.said.filter((text) => text.startsWith('soc postponed ECONNREFUSED')).length >= 4);
  using up = await Receiver.open(status(200));
  orders.notifier.use([webhook('soc', up.url)]);
  const received = await up.count(2);
  expect(received.map(({ json }) => (json.capture as { id: string }).id).sort()).toEqual(['c-1', 'c-2']);
});

test('a certificate of an authority that nobody knows is not spoken to', async () => {
  const leaf = makeAuthority(join(dir, 'authority')).server();
  using receiver = await Receiver.open(status(200), { certificate: leaf.certificate, key: leaf.key });
  await using orders = new Desk();
  orders.use(webhook('soc', receiver.url));
  orders.deleted();
  await until(() => orders.said.some((text) => /postponed (UNABLE_TO|SELF_SIGNED|DEPTH_ZERO)/.test(text)));
  expect(receiver.received).toEqual([]);
});

test('one webhook that hangs holds up no other, and each has one delivery at a time', async () => {
  using hanging = await Receiver.open(never);
  using working = await Receiver.open(status(200));
  await using orders = new Desk();
  orders.use(webhook('hangs', hanging.url), webhook('works', working.url));
  orders.deleted();
  orders.deleted('c-2');
  await working.count(2);
  await hanging.settle();
  expect([hanging.received.length, hanging.mostAtOnce, working.mostAtOnce]).toEqual([1, 1, 1]);
});

test('one that is never taken holds up no other of the same webhook', async () => {
  using receiver = await Receiver.open((response, nth) => {
    response.writeHead(receiver.received[nth]?.body.includes('c-1') ? 500 : 200).end();
  });
  await using orders = new Desk();
  orders.use(webhook('soc', receiver.url));
  orders.deleted();
  await receiver.count(2);
  orders.deleted('c-2');
  await until(() => orders.said.includes('soc sent'));
});
