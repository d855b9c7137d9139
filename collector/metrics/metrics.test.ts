import { afterAll, expect, test } from 'vitest';
import { everySeries } from '../testing/every-series.ts';
import { until } from '../testing/files.ts';
import { limeImage } from '../testing/lime-image.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const image = limeImage(1, [400_000, 1000]);

/** The value of one series; undefined when it is not there. */
async function value(rig: Rig, series: string): Promise<number | undefined> {
  const line = (await rig.metrics()).split('\n').find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length));
}

test('every series is there before anything has happened', async () => {
  await using rig = await Rig.start(parties);
  for (const trigger of ['manual', 'schedule']) {
    for (const [outcome, reason] of [
      ['complete', ''],
      ['partial', 'acquirer_died'],
      ['failed', 'preflight_refused'],
      ['canceled', ''],
    ]) {
      const labels = `trigger="${trigger}",outcome="${outcome}",reason="${reason}"`;
      expect(await value(rig, `kcorder_captures_ended_total{${labels}}`)).toBe(0);
    }
  }
  for (const phase of ['requested', 'acquiring', 'sealing', 'sealed', 'analyzing']) {
    expect(await value(rig, `kcorder_captures_in_phase{phase="${phase}"}`)).toBe(0);
  }
  expect(await value(rig, 'kcorder_evidence_bytes_total')).toBe(0);
  expect(await value(rig, 'kcorder_nodes{online="true",capturable="true"}')).toBe(0);
  expect(await value(rig, 'kcorder_build_info{version="0.1.0"}')).toBe(1);
});

test('a collector serves every metric that there is, but for the one that a cluster has', async () => {
  await using rig = await Rig.start(parties);
  const namesIn = (text: string) => [...text.matchAll(/^# HELP (kcorder_\S+)/gm)].map(([, name = '']) => name).sort();
  const all = namesIn(await everySeries(parties.server));
  const served = namesIn(await rig.metrics());
  expect(all.filter((name) => !served.includes(name))).toEqual(['kcorder_inventory_in_step_timestamp_seconds']);
  expect(served.filter((name) => !all.includes(name))).toEqual([]);
});

test('the series follow a capture: its phase, its bytes, its interruption, its end', async () => {
  await using rig = await Rig.start(parties);
  const { agent, captureId } = await rig.ordered();
  expect(await value(rig, 'kcorder_nodes{online="true",capturable="true"}')).toBe(1);
  expect(await value(rig, 'kcorder_captures_in_phase{phase="requested"}')).toBe(1);
  const first = await agent.open(captureId);
  await first.chunks(image, 0, 300_000);
  await first.acknowledged(300_000);
  expect(await value(rig, 'kcorder_captures_in_phase{phase="acquiring"}')).toBe(1);
  expect(await value(rig, 'kcorder_evidence_bytes_total')).toBe(300_000);
  first.cancel();
  const second = await agent.open(captureId, { attempt: 2 });
  await second.chunks(image, 300_000);
  await second.finish(image);
  await rig.done(captureId);
  expect(await value(rig, 'kcorder_upload_interruptions_total')).toBe(1);
  expect(await value(rig, 'kcorder_evidence_bytes_total')).toBe(image.length);
  expect(await value(rig, 'kcorder_captures_ended_total{trigger="manual",outcome="complete",reason=""}')).toBe(1);
  expect(await value(rig, 'kcorder_capture_duration_seconds_count')).toBe(1);
  expect(await value(rig, 'kcorder_captures_in_phase{phase="acquiring"}')).toBe(0);
  agent.detach();
  await until(async () => (await value(rig, 'kcorder_nodes{online="false",capturable="true"}')) === 1);
});

test('a fault moves its counter, by method and code', async () => {
  await using rig = await Rig.start(parties);
  await expect(rig.operator().getCapture({ captureId: 'c-no' })).rejects.toMatchObject({ code: 'capture_unknown' });
  const series = 'kcorder_call_faults_total{method="/kcorder.v1.OperatorService/GetCapture",code="capture_unknown"}';
  expect(await value(rig, series)).toBe(1);
});

test.each(['/', '/metrics/', '/metrics?x=1', '/debug'])('there is nothing else to read: %s', async (path) => {
  await using rig = await Rig.start(parties);
  expect((await fetch(`${rig.metricsUrl}${path}`)).status).toBe(404);
  expect((await fetch(`${rig.metricsUrl}/metrics`, { method: 'POST' })).status).toBe(404);
});
