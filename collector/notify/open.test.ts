import { type ChildProcess, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Fault } from '@kcorder/proto/fault.ts';
import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { makeAuthority } from '../../tools/certificates.ts';
import { CaptureJournal } from '../journal/capture-journal.ts';
import { openDatabase } from '../journal/database.ts';
import { Outbox } from '../journal/outbox.ts';
import { request } from '../testing/states.ts';
import { openNotifier } from './open.ts';
import { inTurn, never, Receiver, status } from './testing/receiver.ts';
import type { Webhook } from './webhooks.ts';
import { openWebhooksFile } from './webhooks-file.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-open-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const secret = 'a secret of some length';
let files = 0;

function writeWebhooks(text: string, path = join(dir, `webhooks-${files++}.json`)): string {
  writeFileSync(path, text);
  return path;
}

const one = (url: string) => JSON.stringify({ webhooks: [{ name: 'soc', url, format: 'kcorder', secret }] });

/** Data with the capture c-1. */
function makeData(): string {
  const dataDir = mkdtempSync(join(dir, 'data-'));
  const database = openDatabase(dataDir);
  new CaptureJournal(database).create({ ...request, id: 'c-1' }, 'key', 10_000);
  database.close();
  return dataDir;
}

async function run(
  dataDir: string,
  webhooks: string,
  captureIds: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<ChildProcess> {
  const entry = join(import.meta.dirname, 'testing/notify-runner.ts');
  const child = spawn(process.execPath, [entry, dataDir, webhooks, ...captureIds], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  for await (const [data] of on(child.stdout, 'data')) if (String(data).includes('told')) break;
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

test('killed in the middle of a delivery, it sends the same again, and once it was taken never more', async () => {
  using receiver = await Receiver.open(inTurn(never, status(200)));
  const [dataDir, webhooks] = [makeData(), writeWebhooks(one(receiver.url))];
  const first = await run(dataDir, webhooks, ['c-1']);
  await receiver.count(1);
  await kill(first);
  const second = await run(dataDir, webhooks, []);
  const sent = second.stdout && once(second.stdout, 'data');
  const [before, after] = await receiver.count(2);
  expect([after?.body, after?.headers['kcorder-delivery']]).toEqual([before?.body, before?.json.id]);
  await sent;
  await kill(second);
  const third = await run(dataDir, webhooks, ['c-1']);
  await receiver.settle();
  await kill(third);
  expect(receiver.received.length).toBe(2);
});

test('an authority that NODE_EXTRA_CA_CERTS names is trusted', async () => {
  const authority = makeAuthority(join(dir, 'authority'));
  const { certificate, key } = authority.server();
  using receiver = await Receiver.open(status(200), { certificate, key });
  const env = { NODE_EXTRA_CA_CERTS: join(authority.dir, 'ca.crt') };
  const child = await run(makeData(), writeWebhooks(one(receiver.url)), ['c-1'], env);
  const [first] = await receiver.count(1);
  await kill(child);
  expect(first?.json).toMatchObject({ event: 'evidence_deleted', capture: { id: 'c-1' } });
});

test('a file with errors keeps it from starting, and no value of the file is said', async () => {
  const database = openDatabase(makeData());
  const text = one('http://hush.example/sEcReT').replace('"kcorder"', '"teams"');
  const opening = openNotifier(
    { webhooksFile: writeWebhooks(text), clusterName: '' },
    new Outbox(database),
    new CaptureJournal(database),
    { attempted: () => undefined, reloadFailed: () => undefined },
    pino({ level: 'silent' }),
  );
  const fault = await opening.then(
    () => undefined,
    (error: unknown) => error as Fault,
  );
  database.close();
  expect(fault).toMatchObject({ code: 'config_invalid' });
  expect(fault?.message).toMatch(/webhooks\[0\]\.url is .*webhooks\[0\]\.format is /);
  expect(fault?.message).not.toMatch(/hush|sEcReT|a secret/);
});

test('a file that changes is read again; with errors or gone, the last good one stays and that is told once', async () => {
  const path = writeWebhooks(one('https://one.example/'));
  const [changed, refused]: [(readonly Webhook[])[], string[]] = [[], []];
  const file = await openWebhooksFile(path, {
    changed: (webhooks) => void changed.push(webhooks),
    refused: ({ message }) => void refused.push(message),
  });
  const look = async (text?: string) => {
    if (text === undefined) rmSync(path);
    else writeWebhooks(text, path);
    await file.look();
    await file.look();
  };
  await look(one('https://two.example/'));
  await look('{');
  await look();
  await look('{"webhooks": 1}');
  await look(one('https://two.example/'));
  await look(one('https://three.example/'));
  file.close();
  expect(changed.map(([webhook]) => webhook?.url)).toEqual(
    ['one', 'two', 'three'].map((host) => `https://${host}.example/`),
  );
  expect(refused).toEqual([/no JSON/, /ENOENT/, /no object with a list/].map((text) => expect.stringMatching(text)));
});
