import { expect, test } from 'vitest';
import { makeFakeAvml } from './testing/fake-avml.ts';
import { Rig, until } from './testing/rig.ts';

test('the hello describes the node, and heartbeats follow at the interval asked for', async () => {
  await using rig = new Rig();
  await rig.start(makeFakeAvml(rig.dir, 1));
  expect(rig.collector.hellos[0]).toMatchObject({
    agentVersion: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    instanceId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    kernel: { release: '6.1.0-56-cloud-amd64', buildId: '7bdad2f33eb86414', cosBuildId: '18613.0.0' },
    preflight: { refusals: [] },
    acquirer: { name: 'avml', version: '0.21.0' },
    runningCaptureIds: [],
  });
  await until(() => rig.collector.heartbeats >= 3);
});

test('after a break in mid-capture the hello names the capture that lives on', async () => {
  await using rig = new Rig();
  await rig.start(makeFakeAvml(rig.dir, 1, 'exec cat /dev/zero > "$FIFO"'));
  rig.collector.order('c-1');
  await until(() => rig.collector.image.length > 1 << 20);
  rig.collector.stop();
  await rig.collector.start();
  await until(() => rig.collector.hellos.length === 2);
  expect(rig.collector.hellos[1]).toMatchObject({
    instanceId: rig.collector.hellos[0]?.instanceId,
    runningCaptureIds: ['c-1'],
  });
  await until(() => rig.collector.opens.length >= 2);
  expect(rig.collector.opens.at(-1)?.acquisitionId).toBe(rig.collector.opens[0]?.acquisitionId);
});

test('a collector that starts with anything but a welcome is of another version', async () => {
  await using rig = new Rig();
  rig.collector.welcome = { case: 'cancel', value: { $typeName: 'kcorder.v1.CancelOrder', captureId: 'c-1' } };
  await rig.start(makeFakeAvml(rig.dir, 1));
  await until(() => rig.saw('not attached; trying again'));
  expect(rig.logged.find(({ msg }) => msg === 'not attached; trying again')).toMatchObject({
    fault: 'version_unsupported',
  });
  rig.collector.welcome = undefined;
  await until(() => rig.saw('attached'));
});

test('a collector of another authority is not talked to', async () => {
  await using rig = new Rig();
  await using other = new Rig();
  await other.collector.start();
  rig.useAddress(other.collector.address);
  void rig.start(makeFakeAvml(rig.dir, 1));
  await until(() => rig.saw('not attached; trying again'));
  const causes = String(rig.logged.find(({ msg }) => msg === 'not attached; trying again')?.causes);
  expect(causes).toMatch(/certificate/);
  expect(other.collector.hellos).toEqual([]);
});
