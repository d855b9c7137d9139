import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { afterAll, expect, test } from 'vitest';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());
const bob = parties.authority.operator('bob');

const spec = { nodeName: 'n1', reason: "INC-1 $(id) 'beacon'", idempotencyKey: 'key' };

async function asked(): Promise<Rig> {
  const rig = await Rig.start(parties, { approval: true });
  await rig.agent('n1').attach();
  return rig;
}

test('where a second person is asked for, a capture needs one, and the second try says who it was', async () => {
  await using rig = await asked();
  await expect(rig.operator().createCapture(spec)).rejects.toMatchObject({
    code: 'approval_required',
    message: expect.stringContaining(String.raw`kcorder approve n1 --reason 'INC-1 $(id) '\''beacon'\'''  and then`),
  });
  await rig.operator(bob).approveCapture({ nodeName: 'n1', reason: spec.reason });
  const { capture } = await rig.operator().createCapture(spec);
  expect(capture?.approvedBy).toBe('operator/bob');
});

test('an approval is for one capture', async () => {
  await using rig = await asked();
  await rig.operator(bob).approveCapture({ nodeName: 'n1', reason: spec.reason });
  const { capture } = await rig.operator().createCapture(spec);
  // The same key gives the same capture back, also now that the approval is used up.
  expect((await rig.operator().createCapture(spec)).capture?.id).toBe(capture?.id);
  await rig.operator().cancelCapture({ captureId: capture?.id ?? '' });
  await expect(rig.operator().createCapture({ ...spec, idempotencyKey: 'other' })).rejects.toMatchObject({
    code: 'approval_required',
  });
});

test.each([
  { sentence: 'oneself', by: parties.operator, change: {} },
  { sentence: 'another node', by: bob, change: { nodeName: 'n2' } },
  { sentence: 'another reason', by: bob, change: { reason: 'INC-2' } },
])('an approval by or for $sentence does not count', async ({ by, change }) => {
  await using rig = await asked();
  await rig.operator(by).approveCapture({ nodeName: 'n1', reason: spec.reason, ...change });
  await expect(rig.operator().createCapture(spec)).rejects.toMatchObject({ code: 'approval_required' });
});

test('an approval expires', async () => {
  await using rig = await asked();
  const validFor = durationFromMs(1);
  await rig.operator(bob).approveCapture({ nodeName: 'n1', reason: spec.reason, validFor });
  await new Promise((resolve) => setTimeout(resolve, 10));
  await expect(rig.operator().createCapture(spec)).rejects.toMatchObject({ code: 'approval_required' });
});

test.each([
  { sentence: 'no node', request: { nodeName: '', reason: 'x' } },
  { sentence: 'no reason', request: { nodeName: 'n1', reason: ' ' } },
  { sentence: 'a week', request: { nodeName: 'n1', reason: 'x', validFor: durationFromMs(7 * 24 * 3_600_000) } },
  { sentence: 'no time at all', request: { nodeName: 'n1', reason: 'x', validFor: durationFromMs(0) } },
])('an approval with $sentence is refused', async ({ request }) => {
  await using rig = await asked();
  await expect(rig.operator(bob).approveCapture(request)).rejects.toMatchObject({ code: 'invalid_argument' });
});

test('outside of a cluster pods cannot be found, and it is said what to do', async () => {
  await using rig = await Rig.start(parties);
  const target = { case: 'pod', value: { namespace: 'shop', name: 'web' } } as const;
  await expect(rig.operator().resolvePods({ target })).rejects.toMatchObject({
    code: 'unimplemented',
    message: expect.stringContaining('name the node'),
  });
});
