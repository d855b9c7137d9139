import { afterAll, expect, test, vi } from 'vitest';
import { failuresOf } from './failures.ts';
import { Acquisitions } from './ingest/acquisitions.ts';
import { Metrics } from './metrics/metrics.ts';
import { until } from './testing/files.ts';
import { Parties, Rig } from './testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

test.each(['metricsListen', 'symbolsListen', 'listen', 'apiListen'])(
  'a second collector whose %s is taken fails with its fault, and closes its database and the ports it had opened',
  async (setting) => {
    await using first = await Rig.start(parties);
    await using second = await Rig.start(parties);
    await second.stopCollector();
    const taken = `127.0.0.1:${first.port}`;
    await expect(second.startCollector({ [setting]: taken })).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining(`on ${taken}: see whether another program does`),
    });
    // On the same data and the same port for agents.
    await second.startCollector();
    expect(await second.operator().getVersion({})).toMatchObject({ version: expect.any(String) });
  },
);

test('a part that cannot be closed keeps no other from it, and every failure is known, the first one first', async () => {
  await using rig = await Rig.start(parties);
  const agent = rig.agent();
  await agent.attach();
  vi.spyOn(Acquisitions.prototype, 'close').mockRejectedValueOnce(new Error('the uploads'));
  const close = Metrics.prototype.close;
  vi.spyOn(Metrics.prototype, 'close').mockImplementationOnce(function (this: Metrics) {
    close.call(this);
    throw new Error('the metrics');
  });
  const error = await rig.stopCollector().catch((failed: unknown) => failed);
  expect(failuresOf(error)).toMatchObject([{ message: 'the uploads' }, { message: 'the metrics' }]);
  expect(await until(() => agent.detached)).toMatchObject({ code: 'unavailable' });
  await rig.startCollector();
  expect(await rig.operator().getVersion({})).toMatchObject({ version: expect.any(String) });
});
