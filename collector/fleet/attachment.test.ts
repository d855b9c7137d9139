import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { AgentService, type AttachRequestSchema } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { PreflightReason } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import { afterAll, expect, test, vi } from 'vitest';
import { NodeJournal } from '../journal/node-journal.ts';
import { until } from '../testing/files.ts';
import { ordinaryHello } from '../testing/hand-agent.ts';
import { limeImage } from '../testing/lime-image.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const image = limeImage(1, [400_000]);

/** Bytes of the database on disk, its log included. */
const databaseBytes = (rig: Rig): number =>
  ['kcorder.db', 'kcorder.db-wal'].reduce((sum, name) => sum + statSync(join(rig.dataDir, name)).size, 0);

test('an agent that attaches is welcomed and known with what it said of its kernel', async () => {
  await using rig = await Rig.start(parties);
  const agent = rig.agent();
  await agent.attach({ preflight: { refusals: [{ message: 'kcore is masked' }] } });
  expect(agent.messages).toMatchObject([
    { case: 'welcome', value: { collectorVersion: '0.1.0', heartbeatInterval: { seconds: 5n, nanos: 0 } } },
  ]);
  const { nodes } = await rig.operator().listNodes({});
  expect(nodes).toMatchObject([
    {
      name: 'n1',
      uid: 'uid-n1',
      online: true,
      agentVersion: '0.1.0',
      kernel: { release: '6.1.0-test', ramRanges: [{ start: 0x1000n }] },
      preflight: { refusals: [{ message: 'kcore is masked' }] },
    },
  ]);
});

test('what stands in the way of a capture is as new as the last heartbeat', async () => {
  await using rig = await Rig.start(parties);
  const [agent, operator] = [rig.agent(), rig.operator()];
  await agent.attach({ preflight: { refusals: [{ message: 'kcore is masked' }] } });
  const spec = { nodeName: 'n1', reason: 'a test', idempotencyKey: 'key' };
  await expect(operator.createCapture(spec)).rejects.toMatchObject({ code: 'preflight_refused' });
  await agent.heartbeat([]);
  await until(async () => (await operator.listNodes({})).nodes[0]?.preflight?.refusals.length === 0);
  await operator.createCapture(spec);
  await agent.ordered();
});

test('an agent that says it is busy is not refused for it: whether a capture runs is what the collector knows', async () => {
  await using rig = await Rig.start(parties);
  const [agent, operator] = [rig.agent(), rig.operator()];
  const reason = PreflightReason.CAPTURE_RUNNING;
  await agent.attach({ preflight: { refusals: [{ reason, message: 'capture c-0 runs on this node' }] } });
  await operator.createCapture({ nodeName: 'n1', reason: 'a test', idempotencyKey: 'key' });
  await agent.ordered();
});

test('an acquisition that two heartbeats in a row do not name was given up: what was stored is partial', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const upload = await agent.open(captureId);
  await upload.chunks(image);
  await upload.acknowledged(image.length);
  await agent.heartbeat([], [captureId]);
  await agent.heartbeat([], []);
  await agent.heartbeat([], [captureId]);
  await agent.heartbeat([], []);
  expect((await rig.operator().getCapture({ captureId })).capture?.outcome).toBeUndefined();
  await agent.heartbeat([], []);
  expect((await rig.done(captureId)).outcome).toMatchObject({ kind: OutcomeKind.PARTIAL, reason: 'acquirer_died' });
});

test('a second agent of a node is refused while the first one is attached, and taken when it has gone', async () => {
  await using rig = await Rig.start(parties);
  const [first, second] = [rig.agent(), rig.agent()];
  await first.attach({ instanceId: 'instance-1' });
  await expect(second.attach({ instanceId: 'instance-2' })).rejects.toMatchObject({
    code: 'already_attached',
    message: 'node n1 has an agent attached already: one node, one agent',
  });
  expect(first.detached).toBeUndefined();
  first.detach();
  await until(async () =>
    second.attach({ instanceId: 'instance-2' }).then(
      () => true,
      () => false,
    ),
  );
  expect((await rig.operator().listNodes({})).nodes).toHaveLength(1);
});

test('an agent that a full disk kept out does not keep out the next one of its node', async () => {
  await using rig = await Rig.start(parties);
  const full = vi.spyOn(NodeJournal.prototype, 'put').mockImplementationOnce(() => {
    throw new Fault('storage_failed', 'the disk is full');
  });
  await expect(rig.agent().attach({ instanceId: 'first' })).rejects.toThrow();
  full.mockRestore();
  await rig.agent().attach({ instanceId: 'second' });
  expect((await rig.operator().listNodes({})).nodes).toMatchObject([{ name: 'n1', online: true }]);
});

test('the same agent that dials again takes the place of its old stream, and orders reach the new one', async () => {
  await using rig = await Rig.start(parties);
  const [old, current] = [rig.agent(), rig.agent()];
  await old.attach();
  await current.attach();
  await until(() => old.detached !== undefined);
  expect(old.detached).toBe('ended');
  await rig.operator().createCapture({ nodeName: 'n1', reason: 'a test', idempotencyKey: 'key' });
  await current.ordered();
  expect(old.orders).toEqual([]);
  expect((await rig.operator().listNodes({})).nodes[0]?.online).toBe(true);
});

test('an order that was not taken up is given again when the agent attaches again, one that runs is not', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  agent.detach();
  await until(async () => (await rig.operator().listNodes({})).nodes[0]?.online === false);
  const again = rig.agent();
  await again.attach({ instanceId: 'instance-2' });
  expect(await again.ordered()).toBe(captureId);
  await again.open(captureId);
  const third = rig.agent();
  await third.attach({ instanceId: 'instance-2', runningCaptureIds: [captureId] });
  await rig.operator().cancelCapture({ captureId });
  await until(() => third.cancels.length === 1);
  expect(third.orders).toEqual([]);
});

test('an agent that was started anew in the middle of a capture: partial, its AVML died with it, and its prefix is kept', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const upload = await agent.open(captureId);
  await upload.chunks(image, 0, 300_000);
  await upload.acknowledged(300_000);
  upload.cancel();
  agent.detach();
  await until(async () => (await rig.operator().listNodes({})).nodes[0]?.online === false);
  await rig.agent().attach({ instanceId: 'instance-2' });
  expect(await rig.done(captureId)).toMatchObject({
    outcome: {
      kind: OutcomeKind.PARTIAL,
      reason: 'acquirer_died',
      detail: 'the agent of node n1 was started anew, and its AVML died with it',
    },
    durableBytes: 300_000n,
  });
  expect(rig.evidence(captureId, 'image.PARTIAL.lime').equals(image.subarray(0, 300_000))).toBe(true);
});

test('an agent that still runs a capture that has ended is told to stop', async () => {
  await using rig = await Rig.start(parties);
  const { agent, operator, captureId } = await rig.ordered();
  await operator.cancelCapture({ captureId });
  agent.detach();
  const again = rig.agent();
  await until(async () =>
    again.attach({ instanceId: 'instance-2', runningCaptureIds: [captureId, 'c-unknown'] }).then(
      () => true,
      () => false,
    ),
  );
  await until(() => again.cancels.length === 2);
  expect(again.cancels).toEqual([captureId, 'c-unknown']);
});

test.each([
  {
    sentence: 'half a million empty ranges of memory',
    ramRanges: Array.from({ length: 500_000 }, () => ({ start: 0n, end: 0n })),
    code: 'message_too_large',
    says: 'more than /kcorder.v1.AgentService/Attach takes',
  },
  {
    sentence: 'as many of them as fit into a message',
    ramRanges: Array.from({ length: 120_000 }, () => ({ start: 0n, end: 0n })),
    code: 'invalid_argument',
    says: 'kcorder.v1.KernelDescriptor.ram_ranges has 1025 entries or more: at most 1024 are taken',
  },
  {
    sentence: 'a range of memory that ends before it starts',
    ramRanges: [{ start: 34n << 40n, end: 0n }],
    code: 'invalid_argument',
    says: 'kcorder.v1.KernelDescriptor.ram_ranges[0] is 0x220000000000 to 0x0: a range ends after its start',
  },
])(
  'a hello with $sentence is refused: nothing of it is kept, and nobody else notices',
  async ({ ramRanges, code, says }) => {
    await using rig = await Rig.start(parties);
    await rig.agent('n2').attach();
    const before = databaseBytes(rig);
    await expect(rig.agent().attach({ kernel: { ramRanges } })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(says),
    });
    expect((await rig.operator().listNodes({})).nodes.map(({ name }) => name)).toEqual(['n2']);
    expect(databaseBytes(rig) - before).toBeLessThan(64 << 10);
  },
);

test('an attach stream begins with a hello that has a kernel in it', async () => {
  await using rig = await Rig.start(parties);
  const { agentVersion, instanceId } = ordinaryHello;
  const firsts: NonNullable<MessageInitShape<typeof AttachRequestSchema>['message']>[] = [
    { case: 'heartbeat', value: {} },
    { case: 'hello', value: { agentVersion, instanceId } },
  ];
  for (const message of firsts) {
    const stream = connect(AgentService, rig.channel(parties.node('n1'))).attach();
    await stream.send({ message });
    await expect(stream.responses[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('node n1'),
    });
  }
  expect((await rig.operator().listNodes({})).nodes).toEqual([]);
});
