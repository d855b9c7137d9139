import { expect, test } from 'vitest';
import { makeFakeAvml } from './testing/fake-avml.ts';
import { Rig, renewedAfter, until } from './testing/rig.ts';

const imageBytes = 5 * (1 << 20) + 12_345;

test('a renewed certificate: agent and upload move to a connection with it, with no byte lost and no failure counted', async () => {
  await using rig = new Rig();
  await rig.enrols({ token: 'token', ca: rig.authority.ca });
  const { collector } = rig;
  const avml = makeFakeAvml(rig.dir, imageBytes);
  // Holds the upload back until it has been moved twice.
  collector.bends.chunk = async (offsetBytes) => {
    if (offsetBytes >= 1 << 20) await until(() => collector.opens.length >= 3);
  };
  await rig.start(avml, {}, renewedAfter(300));
  collector.order('c-1');
  await until(() => collector.sealed);
  expect(collector.image.equals(avml.image)).toBe(true);
  const { opens, hellos } = collector;
  expect(opens.map(({ moved }) => moved)).toEqual(opens.map((_, index) => index > 0));
  expect(new Set(opens.map(({ acquisitionId }) => acquisitionId)).size).toBe(1);
  expect(hellos.length).toBeGreaterThanOrEqual(3);
  expect(new Set(hellos.map(({ instanceId }) => instanceId)).size).toBe(1);
  await until(() => rig.saw('evidence sealed'));
  for (const failure of ['not attached; trying again', 'upload broke off; trying again'])
    expect(rig.saw(failure)).toBe(false);
});

test('a collector that takes no more on a connection: the agent moves, and stays attached all along', async () => {
  await using rig = new Rig();
  const avml = makeFakeAvml(rig.dir, imageBytes, 'exec cat /dev/zero > "$FIFO"');
  rig.collector.connectionAgeMs = 500;
  await rig.start(avml);
  rig.collector.order('c-1');
  await until(() => rig.collector.hellos.length >= 3 && rig.collector.opens.length >= 3);
  expect(rig.collector.hellos.at(-1)?.runningCaptureIds).toEqual(['c-1']);
  expect(rig.collector.opens.slice(1).every(({ moved }) => moved)).toBe(true);
  for (const failure of ['not attached; trying again', 'upload broke off; trying again'])
    expect(rig.saw(failure)).toBe(false);
});
