import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Certificates, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand, type Surroundings } from '../fixtures/command.ts';

const chunkBytes = 256 << 10;
const image = randomBytes(3 * chunkBytes + 1234);
const sha256 = createHash('sha256').update(image).digest('hex');
const manifest = Buffer.from('{"capture":"c1","bytes":787666}\n');

let certificates: Certificates;
let dir: string;
let file: string;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates[Symbol.dispose]());
beforeEach(() => {
  dir = mkdtempSync(join(certificates.dir, 'download-'));
  file = join(dir, 'node-1.lime');
});

type Download = NonNullable<Parameters<typeof startCollector>[1]['downloadEvidence']>;

const headerOf = (kind: (typeof OutcomeKind)[keyof typeof OutcomeKind] = OutcomeKind.COMPLETE) => ({
  size: BigInt(image.length),
  sha256,
  outcome: { kind, reason: kind === OutcomeKind.COMPLETE ? '' : 'acquirer_died' },
  manifest,
});

async function* chunksFrom(offset: bigint, kind?: Parameters<typeof headerOf>[0], untilBytes = image.length) {
  yield { header: headerOf(kind), offset };
  for (let at = Number(offset); at < untilBytes; at += chunkBytes) {
    yield { offset: BigInt(at), data: image.subarray(at, Math.min(at + chunkBytes, untilBytes)) };
  }
}

async function download(downloadEvidence: Download, extra: string[] = [], surroundings: Surroundings = {}) {
  await using collector = await startCollector(certificates, { downloadEvidence });
  const place = ['--collector', collector.address, '--tls-dir', certificates.operatorDir];
  return await runCommand(['download', 'c1', '-f', file, ...place, ...extra], surroundings);
}

test('an image and its manifest arrive byte for byte, for the owner alone', async () => {
  const ran = await download(({ offset }) => chunksFrom(offset));
  expect(ran.exit).toBe(0);
  expect(readFileSync(file).equals(image)).toBe(true);
  expect(readFileSync(`${file}.manifest.json`).equals(manifest)).toBe(true);
  expect(readdirSync(dir).toSorted()).toEqual(['node-1.lime', 'node-1.lime.manifest.json']);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(ran.stdout).toContain(`${file}  ${file}.manifest.json  769.2 KiB  complete  ${sha256}\n`);
});

test('in JSON the result names the file, its size and its digest', async () => {
  const ran = await download(({ offset }) => chunksFrom(offset), ['-o', 'json']);
  expect(JSON.parse(ran.stdout)).toMatchObject({
    file,
    manifestFile: `${file}.manifest.json`,
    size: String(image.length),
    sha256,
  });
});

test('an interrupted download is taken up where it stopped, with exit code 130 in between', async () => {
  const interrupt = new AbortController();
  const first = await download(
    async function* ({ offset }, { signal }) {
      yield* chunksFrom(offset, OutcomeKind.COMPLETE, chunkBytes);
      await expect.poll(() => statSync(`${file}.part`).size).toBe(chunkBytes);
      interrupt.abort();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
    [],
    { interrupt: interrupt.signal },
  );
  expect(first.exit).toBe(130);
  expect(first.stderr).toContain(`256.0 KiB of 769.2 KiB are in ${file}.part; the same command goes on from there\n`);
  expect(first.stderr).toMatch(/kcorder: interrupted\.\n$/);
  expect(readdirSync(dir)).toEqual(['node-1.lime.part']);
  const offsets: bigint[] = [];
  const second = await download(({ offset }) => {
    offsets.push(offset);
    return chunksFrom(offset);
  });
  expect(offsets).toEqual([BigInt(chunkBytes)]);
  expect(second.exit).toBe(0);
  expect(second.stderr).toContain(`going on after the 256.0 KiB in ${file}.part\n`);
  expect(readFileSync(file).equals(image)).toBe(true);
});

test('a broken stream goes on within the same command', async () => {
  const offsets: bigint[] = [];
  const ran = await download(async function* ({ offset }) {
    offsets.push(offset);
    yield* chunksFrom(offset, OutcomeKind.COMPLETE, Math.min(image.length, Number(offset) + chunkBytes));
    if (offsets.length === 1) throw new Fault('unavailable', 'the collector is stopping');
  });
  expect(offsets).toEqual([0, 1, 2, 3].map((index) => BigInt(index * chunkBytes)));
  expect(ran.stderr.match(/warning: the connection to the collector broke; trying again in 1s\n/g)).toHaveLength(3);
  expect(ran.exit).toBe(0);
  expect(readFileSync(file).equals(image)).toBe(true);
});

test('a stream that ends with the token that opened it goes on with another, unless that one is refused too', async () => {
  const ended = new Fault('unauthenticated', 'the API server does not vouch for this token');
  const offsets: bigint[] = [];
  const ran = await download(async function* ({ offset }) {
    offsets.push(offset);
    if (offsets.length < 3) yield* chunksFrom(offset, OutcomeKind.COMPLETE, Number(offset) + chunkBytes);
    throw ended;
  });
  expect(offsets).toEqual([0, 1, 2].map((index) => BigInt(index * chunkBytes)));
  expect(ran.exit).toBe(1);
  expect(ran.stderr).toContain('does not vouch for this token');
});

test('a part file that is already whole is only verified', async () => {
  writeFileSync(`${file}.part`, image, { mode: 0o600 });
  expect((await download(({ offset }) => chunksFrom(offset))).exit).toBe(0);
  expect(readFileSync(file).equals(image)).toBe(true);
});

test('partial evidence arrives, is marked, and ends with exit code 3', async () => {
  const ran = await download(({ offset }) => chunksFrom(offset, OutcomeKind.PARTIAL));
  expect(ran.exit).toBe(3);
  expect(ran.stderr).toContain(`warning: PARTIAL evidence: ${file} holds only what was acquired: acquirer_died\n`);
  expect(ran.stdout).toContain('PARTIAL');
  expect(readFileSync(file).equals(image)).toBe(true);
});

test('bytes with the wrong digest never get the name of the image', async () => {
  const forged = Buffer.from(image);
  forged[chunkBytes + 5] = (forged[chunkBytes + 5] ?? 0) ^ 1;
  const ran = await download(async function* ({ offset }) {
    yield { header: headerOf(), offset, data: forged };
  });
  expect(ran.exit).toBe(1);
  expect(ran.stderr).toMatch(
    new RegExp(`should be ${sha256}\\. The bytes are in ${file}\\.rejected; the same command starts anew\\.`),
  );
  expect(readdirSync(dir)).toEqual(['node-1.lime.rejected']);
});

test.each([
  [
    'bytes from another place',
    async function* () {
      yield { header: headerOf(), offset: 5n, data: image.subarray(5, 100) };
    },
    /the collector sent bytes 5 to 100 of 787666 where those from 0 on were due/,
  ],
  [
    'more bytes than there are',
    async function* () {
      yield { header: headerOf(), offset: 0n, data: Buffer.concat([image, image]) };
    },
    /the collector sent bytes 0 to 1575332 of 787666/,
  ],
  [
    'bytes before the header',
    async function* () {
      yield { offset: 0n, data: image.subarray(0, 10) };
    },
    /sent data before its header/,
  ],
] as const)('%s end the download at once', async (_what, handler, expected) => {
  const ran = await download(handler);
  expect(ran.stderr).toMatch(expected);
  expect(ran.exit).toBe(1);
  expect(existsSync(file)).toBe(false);
});

test.each([['node-1.lime'], ['node-1.lime.manifest.json']])('%s is never overwritten', async (name) => {
  writeFileSync(join(dir, name), 'mine');
  const ran = await download(({ offset }) => chunksFrom(offset));
  expect(ran.stderr).toContain(`kcorder: ${join(dir, name)} is there already and is not overwritten.`);
  expect(ran.exit).toBe(1);
  expect(readFileSync(join(dir, name), 'utf8')).toBe('mine');
});

test('a part file larger than the evidence belongs to something else', async () => {
  writeFileSync(`${file}.part`, Buffer.alloc(image.length + 1), { mode: 0o600 });
  const ran = await download(({ offset }) => chunksFrom(offset));
  expect(ran.stderr).toContain(`${file}.part holds ${image.length + 1} bytes and the evidence only ${image.length}`);
  expect(ran.exit).toBe(1);
});

test('evidence that changes on the collector in mid-download is refused', async () => {
  let streams = 0;
  const ran = await download(async function* ({ offset }) {
    streams += 1;
    yield { header: { ...headerOf(), sha256: streams === 1 ? sha256 : 'f'.repeat(64) } };
    yield { offset, data: image.subarray(Number(offset), Number(offset) + 100) };
  });
  expect(ran.stderr).toContain('the evidence changed on the collector during the download.');
  expect(ran.exit).toBe(1);
});

test('a directory that is not there is named', async () => {
  file = join(dir, 'nowhere', 'x.lime');
  const ran = await download(({ offset }) => chunksFrom(offset));
  expect(ran.stderr).toBe(
    `kcorder: cannot write ${file}.part: no such file or directory. Choose another place with -f.\n`,
  );
  expect(ran.exit).toBe(1);
});

test('a capture without evidence leaves no empty part file', async () => {
  // biome-ignore lint/correctness/useYield: it is refused before its first message.
  const ran = await download(async function* () {
    throw new Fault('evidence_missing', 'capture c1 has no evidence');
  });
  expect(ran.stderr).toBe('kcorder: capture c1 has no evidence.\n');
  expect(readdirSync(dir)).toEqual([]);
});
