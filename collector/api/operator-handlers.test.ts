import { randomUUID } from 'node:crypto';
import { type Capture, OutcomeKind, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { limeImage } from '../testing/lime-image.ts';
import { Parties, Rig } from '../testing/rig.ts';
import { turnsOfOne } from './one-at-a-time.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const image = limeImage(1, [400_000, 1000]);
const spec = { nodeName: 'n1', reason: 'incident 7', idempotencyKey: 'key' };

test.each([
  { sentence: 'no node', changes: { nodeName: '' }, says: 'node_name is missing' },
  { sentence: 'no reason', changes: { reason: '' }, says: 'a reason of 1 to 1024 characters is required' },
  { sentence: 'a blank reason', changes: { reason: ' \t\n' }, says: 'a reason of 1 to 1024 characters' },
  {
    sentence: 'a reason that is too long',
    changes: { reason: 'x'.repeat(1025) },
    says: 'a reason of 1 to 1024 characters',
  },
  {
    sentence: 'no key',
    changes: { idempotencyKey: '' },
    says: 'an idempotency_key of 1 to 128 characters is required',
  },
  {
    sentence: 'a key that is too long',
    changes: { idempotencyKey: 'x'.repeat(129) },
    says: 'an idempotency_key of 1 to 128',
  },
])('a wish with $sentence is refused, and nothing is ordered', async ({ changes, says }) => {
  await using rig = await Rig.start(parties);
  const agent = rig.agent();
  await agent.attach();
  await expect(rig.operator().createCapture({ ...spec, ...changes })).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining(says),
  });
  expect((await rig.operator().listCaptures({})).captures).toEqual([]);
  expect(agent.orders).toEqual([]);
});

test('the same wish again is the same capture, ordered once; its key does not serve for another node', async () => {
  await using rig = await Rig.start(parties);
  const [agent, other, operator] = [rig.agent('n1'), rig.agent('n2'), rig.operator()];
  await agent.attach();
  await other.attach();
  const both = await Promise.all([operator.createCapture(spec), operator.createCapture(spec)]);
  const third = await operator.createCapture({ ...spec, reason: 'said otherwise' });
  expect(new Set([...both, third].map(({ capture }) => capture?.id)).size).toBe(1);
  expect(third.capture).toMatchObject({
    reason: 'incident 7',
    requestedBy: 'operator/alice',
    phase: Phase.REQUESTED,
    nodeUid: 'uid-n1',
  });
  await expect(operator.createCapture({ ...spec, nodeName: 'n2' })).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining(`belongs to capture ${third.capture?.id} of node n1: use a new key`),
  });
  expect(agent.orders).toEqual([third.capture?.id]);
  expect(other.orders).toEqual([]);
});

test('a node that nobody knows, one that is offline, one that cannot be captured, one that is busy: each is told apart', async () => {
  await using rig = await Rig.start(parties);
  const [agent, operator] = [rig.agent(), rig.operator()];
  const create = () => operator.createCapture({ ...spec, idempotencyKey: randomUUID() });
  await expect(create()).rejects.toMatchObject({
    code: 'node_unknown',
    message: "no agent of a node named n1 has ever attached: see 'kcorder get nodes'",
  });
  const refusals = [
    { message: 'the container runtime hides /proc/kcore' },
    { message: 'the agent lacks CAP_SYS_ADMIN' },
  ];
  await agent.attach({ preflight: { refusals } });
  await expect(create()).rejects.toMatchObject({
    code: 'preflight_refused',
    message: 'node n1 cannot be captured: the container runtime hides /proc/kcore; the agent lacks CAP_SYS_ADMIN',
  });
  agent.detach();
  await until(async () => (await operator.listNodes({})).nodes[0]?.online === false);
  await expect(create()).rejects.toMatchObject({
    code: 'node_offline',
    message: expect.stringMatching(
      /^the agent of node n1 is not attached \(last seen .+Z\): see to its pod, then try again$/,
    ),
  });
  await agent.attach();
  const { capture } = await create();
  expect(agent.orders).toEqual([capture?.id]);
  await expect(create()).rejects.toMatchObject({
    code: 'node_busy',
    message: `node n1 is being captured (${capture?.id}): wait for it, or cancel it`,
  });
  expect((await operator.listNodes({})).nodes).toMatchObject([
    { name: 'n1', online: true, runningCaptureId: capture?.id },
  ]);
});

test('an order that the agent refuses is a capture that failed, in the words of the agent', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  const other = rig.agent('n2');
  await other.attach();
  await other.answer(captureId, ['what another node says of it does not count']);
  await agent.answer(captureId, ['AVML at /usr/local/bin/avml has another SHA-256']);
  expect(await rig.done(captureId)).toMatchObject({
    outcome: {
      kind: OutcomeKind.FAILED,
      reason: 'preflight_refused',
      detail: 'AVML at /usr/local/bin/avml has another SHA-256',
    },
    analysis: { reason: 'no_image' },
  });
});

test('a disk that is too small is told with what is needed and what is free, before anything is ordered', async () => {
  await using rig = await Rig.start(parties, { reserveBytes: 2 ** 52 });
  const agent = rig.agent();
  await agent.attach();
  await expect(rig.operator().createCapture(spec)).rejects.toMatchObject({
    code: 'disk_too_small',
    message: expect.stringMatching(
      /^node n1 needs up to 68157\d{3} bytes of evidence, 0 bytes are free: free space .* Nothing was started$/,
    ),
  });
  expect(agent.orders).toEqual([]);
});

test('of two captures that race for the last space exactly one starts', async () => {
  const { bavail, bsize } = await import('node:fs/promises').then(({ statfs }) => statfs('/tmp'));
  await using rig = await Rig.start(parties);
  const kernel = { ramRanges: [{ start: 0n, end: BigInt(Math.floor(bavail * bsize * 0.6)) }] };
  const agents = [rig.agent('n1'), rig.agent('n2')];
  for (const agent of agents) await agent.attach({ kernel });
  const wishes = ['n1', 'n2'].map((nodeName) =>
    rig.operator().createCapture({ ...spec, nodeName, idempotencyKey: nodeName }),
  );
  const results = await Promise.allSettled(wishes);
  expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  const refused = results.find((result) => result.status === 'rejected');
  expect(refused?.reason).toMatchObject({
    code: 'disk_too_small',
    message: expect.stringContaining('reserved by running captures'),
  });
  await until(() => agents.some(({ orders }) => orders.length > 0));
  expect(agents.flatMap(({ orders }) => orders)).toHaveLength(1);
});

test('a capture is watched from what it is to its end', async () => {
  await using rig = await Rig.start(parties);
  const { agent, operator, captureId } = await rig.ordered();
  const seen: Capture[] = [];
  const watched = (async () => {
    for await (const { capture } of operator.watchCapture({ captureId })) if (capture !== undefined) seen.push(capture);
  })();
  await until(() => seen.length === 1);
  const upload = await agent.open(captureId);
  await upload.chunks(image, 0, 200_000);
  await until(() => seen.some(({ durableBytes }) => durableBytes === 200_000n));
  await upload.chunks(image, 200_000);
  await upload.finish(image);
  await watched;
  expect(seen[0]).toMatchObject({ phase: Phase.REQUESTED, durableBytes: 0n });
  const acquiring = seen.filter(({ phase }) => phase === Phase.ACQUIRING);
  expect(acquiring.map(({ scannedBytes }) => scannedBytes)).toContain(400_000n);
  expect(seen.at(-1)).toMatchObject({
    phase: Phase.DONE,
    outcome: { kind: OutcomeKind.COMPLETE },
    analysis: { reason: 'symbols_missing' },
    durableBytes: BigInt(image.length),
  });
  const phases = seen.map(({ phase }) => phase);
  expect(phases).toEqual(phases.toSorted((a, b) => a - b));
});

test('captures come in pages, newest first, and the last page says that it is the last', async () => {
  await using rig = await Rig.start(parties);
  const [agent, operator] = [rig.agent(), rig.operator()];
  await agent.attach();
  const ids: string[] = [];
  for (let index = 0; index < 6; index += 1) {
    const { capture } = await operator.createCapture({ ...spec, idempotencyKey: `key-${index}` });
    ids.unshift(capture?.id ?? '');
    await operator.cancelCapture({ captureId: ids[0] ?? '' });
  }
  const pages: string[][] = [];
  for (let pageToken = ''; pageToken !== '' || pages.length === 0; ) {
    const page = await operator.listCaptures({ pageSize: 3, pageToken });
    pages.push(page.captures.map(({ id }) => id));
    pageToken = page.nextPageToken;
  }
  expect(pages).toEqual([ids.slice(0, 3), ids.slice(3)]);
  expect((await operator.listCaptures({ nodeName: 'n2' })).captures).toEqual([]);
  await expect(operator.listCaptures({ pageSize: 501 })).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(operator.listCaptures({ pageToken: 'c-no' })).rejects.toMatchObject({ code: 'capture_unknown' });
});

test.each(['getCapture', 'cancelCapture', 'getAnalysis'] as const)(
  '%s of a capture that is not there says how to find those that are',
  async (method) => {
    await using rig = await Rig.start(parties);
    await expect(rig.operator()[method]({ captureId: '../../etc/passwd' })).rejects.toMatchObject({
      code: 'capture_unknown',
      message: "there is no capture ../../etc/passwd: list them with 'kcorder get captures'",
    });
  },
);

test('results that are taken one after the other are given as often as they are asked for', async () => {
  await using rig = await Rig.start(parties);
  const operator = rig.operator();
  await rig.agent().attach();
  const captureId = (await operator.createCapture(spec)).capture?.id ?? '';
  for (let i = 0; i < 2 * turnsOfOne; i += 1)
    expect((await operator.getAnalysis({ captureId })).capture?.id).toBe(captureId);
});
