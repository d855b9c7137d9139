import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Fault } from '@kcorder/proto/fault.ts';
import {
  type ImportHeadSchema,
  type KernelSymbols,
  SymbolsQuality,
  SymbolsState,
} from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { AuditLog } from '../journal/audit-log.ts';
import { openDatabase } from '../journal/database.ts';
import { makeIsf } from '../symbols/testing/symbol-files.ts';
import { until } from '../testing/files.ts';
import { ordinaryHello } from '../testing/hand-agent.ts';
import { Parties, Rig } from '../testing/rig.ts';

let parties: Parties;
beforeAll(() => {
  parties = new Parties();
});
afterAll(() => parties[Symbol.dispose]());

const banner = ordinaryHello.kernel.banner ?? '';
const buildId = ordinaryHello.kernel.buildId ?? '';
type Symbols = ReturnType<Rig['symbols']>;

async function importFile(
  symbols: Symbols,
  bytes: Buffer,
  head: MessageInitShape<typeof ImportHeadSchema> = {},
): Promise<KernelSymbols | undefined> {
  const stream = symbols.importSymbols();
  const whole = { fileName: 'kernel.json', size: BigInt(bytes.length), ...head };
  const answered = (async () => {
    for await (const { symbols: kept } of stream.responses) return kept;
    return undefined;
  })();
  answered.catch(() => undefined);
  const sent = async () => {
    await stream.send({ message: { case: 'head', value: whole } });
    for (let at = 0; at < bytes.length; at += 1000) {
      await stream.send({ message: { case: 'data', value: bytes.subarray(at, at + 1000) } });
    }
    stream.end();
  };
  await sent().catch(() => undefined);
  return await answered;
}

let isf: Buffer;
beforeEach(() => {
  isf = Buffer.from(makeIsf(banner, 5_000));
});

test('a node without symbols is listed with where they were looked for; an import makes it ready, and the capture too', async () => {
  await using rig = await Rig.start(parties);
  const [symbols, operator, agent] = [rig.symbols(), rig.operator(), rig.agent()];
  await agent.attach({ kernel: { ...ordinaryHello.kernel, typesProblem: 'no BTF there' } });
  const missing = await until(async () => {
    const { symbols: all } = await symbols.listSymbols({});
    // The last source has told, and the search has ended.
    const asked = all[0]?.status?.sources.some(({ name, state }) => name === 'node' && state === 'nothing');
    return asked && all[0]?.status?.state !== SymbolsState.BUILDING && all[0];
  });
  expect(missing).toMatchObject({ key: buildId, buildId, nodeNames: ['n1'], status: { state: SymbolsState.MISSING } });
  expect(missing.status?.sources.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'cache nothing',
    'directory not_configured',
    'bucket not_configured',
    'cos not_configured',
    'debuginfod not_configured',
    'node nothing',
    'dwarf2json not_configured',
  ]);
  expect(missing.status?.detail).toContain('no BTF there');

  const kept = await importFile(symbols, gzipSync(isf), { fileName: 'x.json.gz', buildId });
  expect(kept).toMatchObject({
    key: buildId,
    nodeNames: ['n1'],
    sizeBytes: BigInt(isf.length),
    status: { state: SymbolsState.READY, quality: SymbolsQuality.PROVIDED, source: expect.stringContaining('alice') },
  });
  const { nodes } = await operator.listNodes({});
  expect(nodes[0]?.symbols?.state).toBe(SymbolsState.READY);
  const { capture } = await operator.createCapture({ nodeName: 'n1', reason: 'a test', idempotencyKey: 'k' });
  expect(capture?.symbols?.isfSha256).toBe(createHash('sha256').update(isf).digest('hex'));
  const metrics = await rig.metrics();
  expect(metrics).toContain('kcorder_node_symbols{state="ready"} 1');
  expect(metrics).toContain('kcorder_symbols_kept{quality="provided"} 1');
  expect(metrics).toContain('kcorder_symbols_searches_total{end="missing"} 1');
});

test("a node that claims another's build-id is listed by itself, and hides nothing", async () => {
  await using rig = await Rig.start(parties);
  const symbols = rig.symbols();
  await importFile(symbols, isf, { fileName: 'x.json', buildId });
  const listed = async () =>
    (await symbols.listSymbols({})).symbols
      .map(({ key, nodeNames, sizeBytes }) => [key, nodeNames.join(), sizeBytes === BigInt(isf.length)])
      .sort();
  const kernel = { ...ordinaryHello.kernel, banner: 'Linux version 5 (liar)' };
  await rig.agent('n1').attach({ kernel });
  expect(await listed()).toEqual([
    [buildId, '', true],
    [buildId, 'n1', false],
  ]);
  await rig.agent('n2').attach();
  expect(await listed()).toEqual([
    [buildId, 'n1', false],
    [buildId, 'n2', true],
  ]);
});

test('what is exported is what was imported, byte for byte; pinned and deleted by its key, all of it on record', async () => {
  await using rig = await Rig.start(parties);
  const symbols = rig.symbols();
  const key = (await importFile(symbols, isf))?.key ?? '';
  expect(key).toMatch(/^banner-[0-9a-f]{32}$/);
  const pieces: Uint8Array[] = [];
  let sha256 = '';
  for await (const { header, data } of symbols.exportSymbols({ key })) {
    if (header !== undefined) sha256 = header.sha256;
    pieces.push(data);
  }
  expect(Buffer.concat(pieces)).toEqual(isf);
  expect(sha256).toBe(createHash('sha256').update(isf).digest('hex'));
  expect((await symbols.pinSymbols({ key, pinned: true })).symbols).toMatchObject({
    pinned: true,
    status: { state: SymbolsState.READY },
  });
  expect((await symbols.listSymbols({})).keptBytes).toBe(BigInt(isf.length));
  await symbols.deleteSymbols({ key });
  expect(await symbols.listSymbols({})).toMatchObject({ symbols: [], keptBytes: 0n });
  await rig.stopCollector();
  const database = openDatabase(rig.dataDir);
  const audit = new AuditLog(database);
  expect(audit.of('').map(({ action, actor }) => `${action} ${actor}`)).toEqual(
    ['symbols_imported', 'symbols_pinned', 'symbols_deleted'].map((action) =>
      expect.stringMatching(`^${action} .*alice`),
    ),
  );
  expect(audit.firstBroken()).toBeUndefined();
  database.close();
});

test.each<[string, () => Buffer, MessageInitShape<typeof ImportHeadSchema>, RegExp]>([
  ['that is cut', () => isf.subarray(0, 3000), {}, /cut off/],
  ['that is rubbish', () => Buffer.alloc(3000, 'x'), {}, /not a JSON/],
  ['whose name is none', () => isf, { fileName: '../../vmlinux' }, /"vmlinux" is not named as an ISF/],
  ['for a build-id that is none', () => isf, { buildId: '../etc' }, /no build-id/],
  ['of which bytes are missing', () => isf, { size: 999_999n }, /999999/],
])('an import %s is refused and leaves nothing', async (_, bytes, head, message) => {
  await using rig = await Rig.start(parties);
  const symbols = rig.symbols();
  const refused = await importFile(symbols, bytes(), head).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'invalid_argument', message: expect.stringMatching(message) });
  expect((await symbols.listSymbols({})).symbols).toEqual([]);
});

test.each<[string, (symbols: Symbols) => Promise<unknown>, string]>([
  ['pin', (symbols) => symbols.pinSymbols({ key: 'aaaaaaaa', pinned: true }), 'symbols_unknown'],
  ['delete', (symbols) => symbols.deleteSymbols({ key: '../../x' }), 'symbols_unknown'],
  [
    'export',
    async (symbols) => {
      for await (const _ of symbols.exportSymbols({ key: 'aaaaaaaa' }));
    },
    'symbols_unknown',
  ],
  ['find', (symbols) => symbols.findSymbols({ nodeName: 'nowhere' }), 'node_unknown'],
])('%s of what is not there says so', async (_, call, code) => {
  await using rig = await Rig.start(parties);
  await expect(call(rig.symbols())).rejects.toMatchObject({
    code,
    message: expect.stringMatching(/kcorder (symbols )?get/),
  });
});

test('find asks again for a node, and tells what it came to', async () => {
  await using rig = await Rig.start(parties);
  const agent = rig.agent();
  await agent.attach();
  const { symbols: found } = await rig.symbols().findSymbols({ nodeName: 'n1' });
  expect(found).toMatchObject({ status: { state: SymbolsState.MISSING }, nodeNames: ['n1'] });
});

test('a node may call none of it', async () => {
  await using rig = await Rig.start(parties);
  await expect(rig.symbols(parties.node('n1')).listSymbols({})).rejects.toMatchObject({ code: 'permission_denied' });
});

test('somebody imports one file at a time, and two do at once: what expands to a gigabyte each does not fill the disk', async () => {
  await using rig = await Rig.start(parties);
  const as = (name: string) => rig.symbols(parties.authority.operator(name));
  const [alice, bob, carol] = [rig.symbols(), as('bob'), as('carol')];
  const refused = async (symbols: Symbols): Promise<unknown> =>
    await importFile(symbols, isf).then(
      () => false,
      (fault: unknown) => fault instanceof Fault && fault.code === 'resource_exhausted' && fault,
    );
  const begin = async (symbols: Symbols) => {
    const stream = symbols.importSymbols();
    await stream.send({ message: { case: 'head', value: { fileName: 'kernel.json', size: BigInt(isf.length) } } });
    return stream;
  };
  const first = await begin(alice);
  expect(await until(() => refused(alice))).toMatchObject({
    retryAfterMs: 5_000,
    message: expect.stringContaining('operator/alice is importing a file already'),
  });
  expect((await importFile(bob, isf))?.key).toMatch(/^banner-/);
  const second = await begin(bob);
  expect(await until(() => refused(carol))).toMatchObject({ message: expect.stringContaining('2 others') });
  first.cancel();
  await until(async () => (await refused(carol)) === false);
  second.cancel();
});
