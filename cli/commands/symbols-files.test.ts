import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import type { ImportSymbolsRequest } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Certificates, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand, type Surroundings } from '../fixtures/command.ts';
import { providedOf, readyBuildId, readyOf } from '../fixtures/lab-symbols.ts';

const pieceBytes = 256 << 10;
const isf = randomBytes(3 * pieceBytes + 1234);
const sha256 = createHash('sha256').update(isf).digest('hex');

let certificates: Certificates;
let dir: string;
let file: string;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates[Symbol.dispose]());
beforeEach(() => {
  dir = mkdtempSync(join(certificates.dir, 'symbols-'));
  file = join(dir, 'kernel.json');
});

type Handlers = Parameters<typeof startCollector>[1];
type Export = NonNullable<Handlers['exportSymbols']>;
type Import = NonNullable<Handlers['importSymbols']>;

async function kcorder(args: string[], handlers: Handlers, surroundings: Surroundings = {}) {
  await using collector = await startCollector(certificates, {
    listSymbols: async () => ({ symbols: [readyOf()] }),
    ...handlers,
  });
  const environment = { KCORDER_COLLECTOR: collector.address, KCORDER_TLS_DIR: certificates.operatorDir };
  return await runCommand(['symbols', ...args], { environment, ...surroundings });
}

const exported = (exportSymbols: Export, extra: string[] = [], surroundings: Surroundings = {}) =>
  kcorder(['export', 'lab-1', '-f', file, ...extra], { exportSymbols }, surroundings);

const header = { size: BigInt(isf.length), sha256, banner: 'Linux version 6.6.72+\x1b[2J' };

async function* whole() {
  yield { header };
  for (let at = 0; at < isf.length; at += pieceBytes) yield { data: isf.subarray(at, at + pieceBytes) };
}

test('an export arrives byte for byte, for the owner alone', async () => {
  const keys: string[] = [];
  const ran = await exported(({ key }) => {
    keys.push(key);
    return whole();
  });
  expect(ran.stdout).toContain(`${file}  769.2 KiB  ${sha256}  Linux version 6.6.72+\\x1b[2J\n`);
  expect(ran.exit).toBe(0);
  expect(keys).toEqual([readyBuildId]);
  expect(readFileSync(file).equals(isf)).toBe(true);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(dir)).toEqual(['kernel.json']);
});

test('an export in JSON names the file and its digest', async () => {
  const ran = await exported(whole, ['-o', 'json']);
  expect(JSON.parse(ran.stdout)).toMatchObject({ file, sha256, size: String(isf.length) });
});

test.each<[string, Export, RegExp, number]>([
  [
    'other bytes than were told',
    async function* () {
      yield { header };
      yield { data: Buffer.alloc(isf.length) };
    },
    /^kcorder: the exported symbols of 6\.6\.72\+ \(.*\) are not kept: their SHA-256 is [0-9a-f]{64} and should be/,
    1,
  ],
  [
    'fewer bytes than were told',
    async function* () {
      yield { header, data: isf.subarray(0, 10) };
    },
    /are not kept: 10 of the 787666 bytes that were told arrived\. Try again/,
    1,
  ],
  [
    'more bytes than were told',
    async function* () {
      yield* whole();
      yield { data: isf };
      throw new Fault('internal', 'nobody reads this');
    },
    /are not kept: more than the 787666 bytes that were told arrived/,
    1,
  ],
  [
    'bytes before the header',
    async function* () {
      yield { data: isf.subarray(0, 10) };
    },
    /sent data before its header/,
    1,
  ],
  [
    'a refusal in midstream',
    async function* () {
      yield { header, data: isf.subarray(0, 10) };
      throw new Fault('symbols_unknown', 'the symbols have just been evicted');
    },
    /^kcorder: the symbols have just been evicted\.\n$/,
    1,
  ],
  ['nothing at all', async function* () {}, /the collector sent nothing/, 1],
])('%s leave no file', async (_what, handler, expected, exit) => {
  const ran = await exported(handler);
  expect(ran.stderr).toMatch(expected);
  expect(ran.stdout).toBe('');
  expect(ran.exit).toBe(exit);
  expect(readdirSync(dir)).toEqual([]);
});

test.each(['kernel.json', 'kernel.json.part'])('%s is never overwritten', async (name) => {
  writeFileSync(join(dir, name), 'mine');
  const ran = await exported(whole);
  expect(ran.stderr).toBe(
    `kcorder: ${join(dir, name)} is there already and is not overwritten. Choose another name with -f, or move it away.\n`,
  );
  expect(ran.exit).toBe(1);
  expect(readFileSync(join(dir, name), 'utf8')).toBe('mine');
  expect(readdirSync(dir)).toEqual([name]);
});

test('an interrupted export leaves nothing', async () => {
  const interrupt = new AbortController();
  const ran = await exported(
    async function* (_request, { signal }) {
      yield { header, data: isf.subarray(0, 10) };
      interrupt.abort();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
    [],
    { interrupt: interrupt.signal },
  );
  expect(ran.stderr).toMatch(/kcorder: interrupted\.\n$/);
  expect(ran.exit).toBe(130);
  expect(readdirSync(dir)).toEqual([]);
});

test('without a name a file is called by its build-id, and a key that is a path is refused', async () => {
  const hostile = readyOf({ key: '../../etc/passwd', buildId: '' });
  const ran = await kcorder(['export', 'lab-1'], {
    listSymbols: async () => ({ symbols: [hostile] }),
    exportSymbols: whole,
  });
  expect(ran.stderr).toBe('kcorder: build-id "../../etc/passwd" makes no file name. Give one with -f.\n');
  expect(ran.exit).toBe(2);
});

interface Received {
  readonly head: unknown;
  readonly pieces: number[];
  readonly bytes: Buffer;
}

async function received(requests: AsyncIterable<ImportSymbolsRequest>): Promise<Received> {
  let head: unknown;
  const pieces: Uint8Array[] = [];
  for await (const { message } of requests) {
    if (message.case === 'head') head = { ...message.value };
    if (message.case === 'data') pieces.push(message.value);
  }
  return { head, pieces: pieces.map(({ length }) => length), bytes: Buffer.concat(pieces) };
}

test('an import sends the head, then the file in pieces, and shows what was kept', async () => {
  writeFileSync(file, isf);
  let seen: Received | undefined;
  const ran = await kcorder(['import', file, '--build-id', '4f1c9a0b'], {
    importSymbols: async function* (requests) {
      seen = await received(requests);
      yield { symbols: providedOf() };
    },
  });
  expect(seen?.head).toMatchObject({ fileName: 'kernel.json', buildId: '4f1c9a0b', size: BigInt(isf.length) });
  expect(seen?.pieces).toEqual([pieceBytes, pieceBytes, pieceBytes, 1234]);
  expect(seen?.bytes.equals(isf)).toBe(true);
  expect(ran.stdout).toMatch(/^KERNEL .*\n6\.1\.0-56-cloud-amd64 .*provided.*\n\nbanner /);
  expect(ran.exit).toBe(0);
});

test.each<[string, Import]>([
  [
    'after its last byte',
    // biome-ignore lint/correctness/useYield: it is refused before its first message.
    async function* (requests) {
      await received(requests);
      throw new Fault('invalid_argument', 'kernel.json was not imported: it is no ISF\x1b[2J');
    },
  ],
  [
    'at its head',
    // biome-ignore lint/correctness/useYield: it is refused before its first message.
    async function* () {
      throw new Fault('invalid_argument', 'kernel.json was not imported: it is no ISF\x1b[2J');
    },
  ],
])('an import that is refused %s ends in the words of the collector', async (_when, importSymbols) => {
  writeFileSync(file, isf);
  const ran = await kcorder(['import', file], { importSymbols });
  expect(ran.stderr).toBe('kcorder: kernel.json was not imported: it is no ISF\\x1b[2J.\n');
  expect(ran.stdout).toBe('');
  expect(ran.exit).toBe(2);
});

/** Ends without a message once all has come. */
function unanswered(all: Promise<unknown>): AsyncIterable<never> {
  const next = async () => {
    await all;
    return { done: true, value: undefined } as const;
  };
  return { [Symbol.asyncIterator]: () => ({ next }) };
}

test('an import without an answer is a defect that is told', async () => {
  writeFileSync(file, isf);
  const ran = await kcorder(['import', file], {
    importSymbols: (requests) => unanswered(received(requests)),
  });
  expect(ran.stderr).toBe('kcorder: the collector answered without the symbols of kernel.json. Report it.\n');
  expect(ran.exit).toBe(1);
});

test('an import of what cannot be read names it', async () => {
  const missing = await kcorder(['import', file], {});
  expect(missing.stderr).toBe(
    `kcorder: cannot read ${file}: no such file or directory. Name a file that you may read.\n`,
  );
  expect(missing.exit).toBe(2);
  const directory = await kcorder(['import', dir], {
    importSymbols: (requests) => unanswered(received(requests)),
  });
  expect(directory.stderr).toBe(`kcorder: cannot read ${dir}: it is a directory. Name a file that you may read.\n`);
  expect(directory.exit).toBe(2);
});

test('an interrupted import ends with exit code 130', async () => {
  writeFileSync(file, isf);
  const interrupt = new AbortController();
  const ran = await kcorder(
    ['import', file],
    {
      importSymbols: async function* (requests, { signal }) {
        await received(requests);
        interrupt.abort();
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    },
    { interrupt: interrupt.signal },
  );
  expect(ran.stderr).toMatch(/kcorder: interrupted\.\n$/);
  expect(ran.exit).toBe(130);
});
