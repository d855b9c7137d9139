import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { PreflightReason } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import { expect, test } from 'vitest';
import { makeFakeAvml } from '../testing/fake-avml.ts';
import { Rig, until } from '../testing/rig.ts';

const imageBytes = 3_000_000;
const endless = 'exec cat /dev/zero > "$FIFO"';

test.each([
  [
    'fails in the middle',
    'head -c 1000000 "$IMAGE" > "$FIFO"; echo "unable to read memory" >&2; exit 3',
    { bytes: 1_000_000n, exitCode: 3, signal: '', stderrTail: 'unable to read memory\n', canceled: false },
  ],
  [
    'is killed in the middle',
    'head -c 1000000 "$IMAGE" > "$FIFO"; kill -KILL $$',
    { bytes: 1_000_000n, exitCode: -1, signal: 'SIGKILL', stderrTail: '', canceled: false },
  ],
  [
    'dies before it opens the FIFO',
    'echo "locked down /proc/kcore" >&2; exit 1',
    { bytes: 0n, exitCode: 1, signal: '', stderrTail: 'locked down /proc/kcore\n', canceled: false },
  ],
  [
    'says more than anybody wants to read',
    'yes "a line of 16 byt" | head -n 5000 >&2; exit 2',
    { bytes: 0n, exitCode: 2, stderrTail: 'a line of 16 byt\n'.repeat(241).slice(-4096) },
  ],
])('AVML that %s is told with its exit facts and its bytes', async (_, body, expected) => {
  await using rig = new Rig();
  const avml = makeFakeAvml(rig.dir, imageBytes, body);
  await rig.start(avml);
  rig.collector.order('c-1');
  await until(() => rig.collector.sealed);
  expect(rig.collector.finish).toMatchObject(expected);
  expect(rig.collector.image.equals(avml.image.subarray(0, Number(expected.bytes)))).toBe(true);
  await until(() => rig.saw('evidence sealed'));
  expect(rig.fifos()).toEqual([]);
});

test('a cancel order ends AVML, and what was read is kept as canceled', async () => {
  await using rig = new Rig();
  await rig.start(makeFakeAvml(rig.dir, 1, endless));
  rig.collector.order('c-1');
  await until(() => rig.collector.image.length > 1 << 20);
  rig.collector.send({ case: 'cancel', value: { $typeName: 'kcorder.v1.CancelOrder', captureId: 'c-1' } });
  await until(() => rig.collector.sealed);
  expect(rig.collector.finish).toMatchObject({ exitCode: -1, signal: 'SIGKILL', canceled: true });
  expect(Number(rig.collector.finish?.bytes)).toBe(rig.collector.image.length);
});

test('an agent that must end in mid-capture ends AVML and tells the collector before it goes', async () => {
  await using rig = new Rig();
  await rig.start(makeFakeAvml(rig.dir, 1, endless));
  rig.collector.order('c-1');
  await until(() => rig.collector.image.length > 1 << 20);
  await rig.endAgent();
  expect(rig.collector.finish).toMatchObject({ exitCode: -1, signal: 'SIGKILL', canceled: false });
  expect(rig.fifos()).toEqual([]);
});

test('one capture at a time: another order is refused, the same one again is not a second one', async () => {
  await using rig = new Rig();
  await rig.start(makeFakeAvml(rig.dir, 1, endless));
  rig.collector.order('c-1');
  rig.collector.order('c-2');
  rig.collector.order('c-1');
  await until(() => rig.collector.answers.length === 3);
  expect(rig.collector.answers).toMatchObject([
    { captureId: 'c-1', refusals: [] },
    { captureId: 'c-2', refusals: [{ reason: PreflightReason.CAPTURE_RUNNING }] },
    { captureId: 'c-1', refusals: [] },
  ]);
  expect(rig.collector.answers[1]?.refusals[0]?.message).toContain('c-1');
  expect(rig.fifos()).toHaveLength(1);
});

test.each([0n, -5n])('an order with %i s left is not carried out', async (seconds) => {
  await using rig = new Rig();
  await rig.start(makeFakeAvml(rig.dir, imageBytes));
  rig.collector.order('c-1', seconds);
  await until(() => rig.collector.answers.length === 1);
  expect(rig.collector.answers[0]?.refusals[0]?.message).toContain('expired');
  expect(rig.collector.opens).toEqual([]);
});

test('altered AVML: the agent stays attached, says so at once and refuses; restored, it goes on', async () => {
  await using rig = new Rig();
  const avml = makeFakeAvml(rig.dir, imageBytes);
  await rig.start(avml);
  expect(rig.collector.hellos[0]?.preflight?.refusals).toEqual([]);
  const original = readFileSync(avml.path);
  const altered = Buffer.from(original);
  altered[altered.length - 1] = 0x20;
  writeFileSync(avml.path, altered);
  await until(() => rig.collector.reasons().includes(PreflightReason.AVML_ALTERED));
  rig.collector.order('c-1');
  await until(() => rig.collector.answers.length === 1);
  expect(rig.collector.answers[0]?.refusals).toMatchObject([{ reason: PreflightReason.AVML_ALTERED }]);
  expect(rig.collector.opens).toEqual([]);
  writeFileSync(avml.path, original);
  await until(() => rig.collector.reasons().length === 0);
  rig.collector.order('c-2');
  await until(() => rig.collector.sealed);
});

test('altered or missing from the start: attached, and listed with the reason', async () => {
  await using rig = new Rig();
  const avml = makeFakeAvml(rig.dir, imageBytes);
  appendFileSync(avml.path, '#');
  await rig.start(avml);
  expect(rig.collector.hellos[0]).toMatchObject({
    acquirer: { name: 'avml', version: '' },
    preflight: { refusals: [{ reason: PreflightReason.AVML_ALTERED }] },
  });
  rmSync(avml.path);
  await until(() => rig.collector.reasons().includes(PreflightReason.AVML_MISSING));
});
