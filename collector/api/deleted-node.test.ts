import { connect } from '@kcorder/proto/bridge/connect.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { ClusterRig } from '../testing/cluster-rig.ts';
import { until } from '../testing/files.ts';
import { limeImage } from '../testing/lime-image.ts';
import { Parties } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const spec = { nodeName: 'n1', reason: 'a test', idempotencyKey: 'key' };

/** A cluster whose node n1 was deleted after its agent had enrolled, and made again; the certificate of the one that is gone. */
async function replaced() {
  const all = await ClusterRig.start(parties, { n1: 'u1', n2: 'u2' });
  const gone = await all.enrol('n1');
  all.putNode('n1', 'u1-again');
  await until(() => all.rig.logged.some(({ msg }) => msg === 'node is gone'));
  return { all, gone };
}

test('the agent of a deleted node is cut off, and does not get in again; its replacement does', async () => {
  await using all = await ClusterRig.start(parties, { n1: 'u1' });
  const identity = await all.enrol('n1');
  const agent = all.agent(identity);
  await agent.attach();
  all.putNode('n1', 'u1-again');
  await until(() => agent.detached);
  const refused = { code: 'unauthenticated', message: expect.stringContaining('was deleted and made again') };
  expect(agent.detached).toMatchObject({ code: 'unauthenticated' });
  await expect(all.agent(identity).attach()).rejects.toMatchObject(refused);
  await all.agent(await all.enrol('n1')).attach();
});

test('the agent of a node that was deleted for good does not get in either', async () => {
  await using all = await ClusterRig.start(parties, { n1: 'u1', n2: 'u2' });
  const [n1, n2] = [await all.enrol('n1'), await all.enrol('n2')];
  all.removeNode('n1');
  await until(() => all.rig.logged.some(({ msg }) => msg === 'node is gone'));
  await expect(all.agent(n1).attach()).rejects.toMatchObject({
    code: 'unauthenticated',
    message: expect.stringContaining('is not part of the cluster'),
  });
  await all.agent(n2).attach();
});

test('orders reach the agent of the uid that the API server has, and no other of its name', async () => {
  const { all, gone } = await replaced();
  await using _ = all;
  // A collector that was started anew knows nobody, and lets in whoever has a certificate until it has read the list of nodes.
  await all.rig.stopCollector();
  all.api.hold('nodes');
  await all.rig.startCollector();
  const [old, current] = [all.agent(gone), all.agent(await all.enrol('n1'))];
  await old.attach();
  await current.attach();
  all.api.release('nodes');
  const operator = all.calls(OperatorService, 'alice');
  await until(async () => (await operator.listNodes({})).nodes.filter(({ online }) => online).length === 1);
  await operator.createCapture(spec);
  expect(await current.ordered()).toMatch(/^c/);
  // Its next sign of life ends it.
  await old.heartbeat([]);
  await until(() => old.detached);
  expect(old.detached).toMatchObject({ code: 'unauthenticated' });
  expect(old.orders).toEqual([]);
});

test('no image and no kernel types come from a deleted node', async () => {
  const { all, gone } = await replaced();
  await using _ = all;
  const refused = { code: 'unauthenticated', message: expect.stringContaining('was deleted and made again') };
  expect((await all.agent(gone).open('c-1')).fault).toMatchObject(refused);
  const types = connect(IngestService, all.rig.channel(gone)).sendKernelTypes();
  await types.send({ message: { case: 'open', value: { transferId: 'any' } } }).catch(() => undefined);
  await expect(types.responses[Symbol.asyncIterator]().next()).rejects.toMatchObject(refused);
});

test('an upload that runs when its node is deleted is ended, and what came is kept', async () => {
  await using all = await ClusterRig.start(parties, { n1: 'u1' });
  const agent = all.agent(await all.enrol('n1'));
  await agent.attach();
  const operator = all.calls(OperatorService, 'alice');
  const { capture } = await operator.createCapture(spec);
  const upload = await agent.open(await agent.ordered());
  await upload.chunks(limeImage(1, [1_000_000]), 0, 500_000);
  await upload.acknowledged(500_000);
  all.putNode('n1', 'u1-again');
  expect(await upload.ended()).toMatchObject({ code: 'unauthenticated' });
  expect((await operator.getCapture({ captureId: capture?.id ?? '' })).capture?.durableBytes).toBe(500_000n);
});

test('a token that was made for a deleted node gives no certificate', async () => {
  const { all } = await replaced();
  await using _ = all;
  await expect(all.enrol('n1', 'u1')).rejects.toMatchObject({
    code: 'unauthenticated',
    message: expect.stringContaining('deleted and made again since the token was made'),
  });
});

const joinOf = { nodeName: 'outside', nodeUid: 'uid-outside' };

test('in a cluster no join token is made or taken, unless that is set', async () => {
  await using all = await ClusterRig.start(parties, { n1: 'u1' });
  await expect(all.calls(EnrolmentService, 'alice').createJoinToken(joinOf)).rejects.toMatchObject({
    code: 'unimplemented',
    message: expect.stringContaining('KCORDER_JOIN_TOKENS=on'),
  });
  await expect(all.join('kcj_anything')).rejects.toMatchObject({
    code: 'unauthenticated',
    message: expect.stringContaining('takes no join tokens'),
  });
});

test('where join tokens are set, they are for nodes outside of the cluster: none takes the name or the place of one inside', async () => {
  await using all = await ClusterRig.start(parties, { n1: 'u1', n2: 'u2' }, { joinTokens: true });
  const admin = all.calls(EnrolmentService, 'alice');
  const made = async (nodeName: string, nodeUid: string) => (await admin.createJoinToken({ nodeName, nodeUid })).token;
  await all.agent(await all.join(await made('outside', 'uid-outside'))).attach();
  const n2 = await all.enrol('n2');
  all.removeNode('n2');
  await until(() => all.rig.logged.some(({ msg }) => msg === 'node is gone'));
  const refused = { code: 'unauthenticated' };
  await expect(all.agent(n2).attach()).rejects.toMatchObject(refused);
  await expect(all.join(await made('n1', 'another-uid'))).rejects.toMatchObject(refused);
  await expect(all.join(await made('n2', 'u2'))).rejects.toMatchObject(refused);
});
