import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { smallKallsyms, smallKernel } from '@kcorder/isf/testing/btf-writer.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { SymbolsQuality, SymbolsState } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { ordinaryHello } from '../testing/hand-agent.ts';
import { Parties, Rig } from '../testing/rig.ts';

let parties: Parties;
beforeAll(() => {
  parties = new Parties();
});
afterAll(() => parties[Symbol.dispose]());

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest();
const btf = smallKernel().bytes();
/** As an agent sends it: link-time addresses, no modules. */
const kallsyms = Buffer.from(
  smallKallsyms
    .replace(/^ffffffff9[bc]/gm, (start) => `ffffffff8${start.endsWith('b') ? '1' : '2'}`)
    .replace(/^.*\[ext4\]\n/m, ''),
);
const digestOf = (list: Buffer) => createHash('sha256').update(sha256(btf)).update(sha256(list)).digest('hex');

const ordered = (agent: ReturnType<Rig['agent']>, nth = 1) =>
  until(
    () =>
      agent.messages.flatMap((message) => (message.case === 'kernelTypes' ? [message.value.transferId] : []))[nth - 1],
  );

async function send(rig: Rig, node: string, transferId: string, list: Buffer): Promise<void> {
  const stream = connect(IngestService, rig.channel(parties.node(node))).sendKernelTypes();
  const answered = (async () => {
    for await (const _ of stream.responses);
  })();
  answered.catch(() => undefined);
  await stream.send({ message: { case: 'open', value: { transferId } } });
  await stream.send({ message: { case: 'btf', value: btf } });
  await stream.send({ message: { case: 'kallsyms', value: list } });
  stream.end();
  await answered;
}

const helloWith = (list: Buffer) => ({ kernel: { ...ordinaryHello.kernel, typesDigest: digestOf(list) } });

test('nodes that would send the same send once; one that would send something else gets its own symbols and spoils nobody', async () => {
  await using rig = await Rig.start(parties);
  const [first, second, liar] = [rig.agent('n1'), rig.agent('n2'), rig.agent('n3')];
  await first.attach(helloWith(kallsyms));
  await send(rig, 'n1', await ordered(first), kallsyms);
  const state = async (name: string) => {
    const { nodes } = await rig.operator().listNodes({});
    return nodes.find((node) => node.name === name)?.symbols;
  };
  const ready = await until(async () => {
    const symbols = await state('n1');
    return symbols?.state === SymbolsState.READY && symbols;
  });
  expect(ready).toMatchObject({ quality: SymbolsQuality.BTF, source: 'BTF and kallsyms of node n1' });
  await second.attach(helloWith(kallsyms));
  await until(async () => (await state('n2'))?.state === SymbolsState.READY);
  expect(second.messages.some(({ case: kind }) => kind === 'kernelTypes')).toBe(false);

  const lies = Buffer.from(kallsyms.toString().replace('T schedule', 'T hide_me_'));
  await liar.attach(helloWith(lies));
  await send(rig, 'n3', await ordered(liar), lies);
  const lied = await until(async () => {
    const symbols = await state('n3');
    return symbols?.state === SymbolsState.READY && symbols;
  });
  expect(lied.isfSha256).not.toBe(ready.isfSha256);
  expect((await state('n1'))?.isfSha256).toBe(ready.isfSha256);
  expect((await state('n2'))?.isfSha256).toBe(ready.isfSha256);
  const isf = JSON.parse(readFileSync(join(rig.dataDir, 'symbols', 'isf', `${ready.isfSha256}.json`), 'utf8')) as {
    symbols: Record<string, unknown>;
  };
  expect(isf.symbols).toHaveProperty('schedule');
});

test('a node whose transfer broke is asked again', async () => {
  await using rig = await Rig.start(parties);
  const agent = rig.agent('n1');
  await agent.attach(helloWith(kallsyms));
  const transferId = await ordered(agent);
  const broken = connect(IngestService, rig.channel(parties.node('n1'))).sendKernelTypes();
  await broken.send({ message: { case: 'open', value: { transferId } } });
  await broken.send({ message: { case: 'btf', value: btf } });
  await until(() => globSync('**/btf', { cwd: rig.dataDir }).length > 0);
  broken.cancel();
  await send(rig, 'n1', await ordered(agent, 2), kallsyms);
  await until(async () => {
    const { nodes } = await rig.operator().listNodes({});
    return nodes[0]?.symbols?.state === SymbolsState.READY;
  });
});

test('a node that cannot send is followed by another that tells the same', async () => {
  await using rig = await Rig.start(parties);
  const [first, second] = [rig.agent('n1'), rig.agent('n2')];
  await first.attach(helloWith(kallsyms));
  const transferId = await ordered(first);
  await second.attach(helloWith(kallsyms));
  // What comes is not what was told.
  await expect(send(rig, 'n1', transferId, Buffer.from('other'))).rejects.toMatchObject({ code: 'checksum_mismatch' });
  const again = await until(async () => {
    const { symbols } = await rig.symbols().listSymbols({});
    return symbols[0]?.status?.state !== SymbolsState.BUILDING && symbols[0]?.status;
  });
  // The second had not been there when the search began to ask: it is asked when somebody looks again.
  expect(again.state).toBe(SymbolsState.MISSING);
  const found = rig.symbols().findSymbols({ nodeName: 'n2' });
  await send(rig, 'n1', await ordered(first, 2), Buffer.from('other')).catch(() => undefined);
  await send(rig, 'n2', await ordered(second), kallsyms);
  expect((await found).symbols?.status).toMatchObject({
    state: SymbolsState.READY,
    source: expect.stringContaining('n2'),
  });
});
