import { describe, expect, test } from 'vitest';
import { readSchedules } from '../../collector/schedule/schedules-text.ts';
import { at, named, renderObjects, type Value, valuesFiles } from './chart.ts';

async function fileOf(valuesFile: string, name: string, ...set: string[]): Promise<string> {
  const { data } = named(await renderObjects(valuesFile, ...set), 'ConfigMap', name);
  return (data as Record<string, string>)['schedules.json'] ?? '';
}

const scheduled = async (valuesFile: string, name: string): Promise<unknown> =>
  JSON.parse(await fileOf(valuesFile, name)).schedules;

describe('schedules', () => {
  test('there is a file without any, so that the first one needs no restart', async () => {
    expect(await scheduled('default-values.yaml', 'kcorder-schedules')).toEqual([]);
  });

  test('arrive as they stand in values', async () => {
    expect(await scheduled('everything-values.yaml', 'flight-recorder-schedules')).toEqual([
      {
        name: 'payments',
        cron: '0 */6 * * *',
        timeZone: 'Europe/Berlin',
        target: {
          nodeNames: ['node-1'],
          nodeLabels: 'pool=payments,!spot',
          podNamespaces: ['payments'],
          podLabels: 'app in (api, worker)',
        },
        analyze: true,
        analysis: { plugins: [{ name: 'linux.bash.Bash', arguments: { pid: '1' } }] },
        jitter: '30m',
        startingDeadline: '1h',
        maxConcurrent: 2,
        ignorePressure: true,
        retention: { keepLast: 4, ttl: '720h' },
        reason: 'every six hours, as agreed',
      },
      { name: 'all-nodes', cron: '@weekly' },
    ]);
  });

  test.each(valuesFiles)('%s: the collector can use the file', async (file) => {
    const name = file === 'everything-values.yaml' ? 'flight-recorder-schedules' : 'kcorder-schedules';
    const read = readSchedules(await fileOf(file, name), true);
    expect(read).toMatchObject({ kind: 'good' });
    expect(read.kind === 'good' && read.specs.map((spec) => spec.name)).toEqual(
      file === 'everything-values.yaml' ? ['payments', 'all-nodes'] : [],
    );
  });

  test.each(['90s', '5m', '1h30m', '24h', '1h0m1s', '2m30s'])('both take %s for a time', async (time) => {
    const set = ['schedules[0].name=a', 'schedules[0].cron=@daily'];
    const text = await fileOf('default-values.yaml', 'kcorder-schedules', ...set, `schedules[0].jitter=${time}`);
    expect(readSchedules(text, true)).toMatchObject({ kind: 'good' });
  });

  test('a change reaches the running collector: the directory is mounted, and the pod stays as it is', async () => {
    const set = ['schedules[0].name=a', 'schedules[0].cron=@daily'];
    const pod = async (...values: string[]) =>
      at(named(await renderObjects('default-values.yaml', ...values), 'StatefulSet', 'kcorder-collector'), 'spec');
    const before = await pod();
    expect(await pod(...set)).toEqual(before);
    const mounts = at(before, 'template.spec.containers.0.volumeMounts') as Value[];
    expect(mounts.filter((mount) => at(mount, 'name') === 'schedules')).toEqual([
      { name: 'schedules', mountPath: '/etc/kcorder/schedules', readOnly: true },
    ]);
    expect(at(before, 'template.spec.volumes')).toContainEqual({
      name: 'schedules',
      configMap: { name: 'kcorder-schedules' },
    });
  });
});
