import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { ScheduleService } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { ClusterRig } from '../testing/cluster-rig.ts';
import { Parties } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const pluginOf = (name: string, argument: string) => ({
  plugins: [{ name, arguments: [{ name: argument, value: '7' }] }],
});

test('whoever may not unmask results can look for no text in memory, whose rows would tell what is masked', async () => {
  await using all = await ClusterRig.start(parties, { n1: 'u1' });
  await all.agent(await all.enrol('n1')).attach();
  const operator = all.calls(OperatorService, 'bob');
  const schedules = all.calls(ScheduleService, 'bob');
  const order = (idempotencyKey: string) => ({ nodeName: 'n1', reason: 'a test', idempotencyKey });
  const schedule = (name: string) => ({ name, cron: '0 3 * * *', analyze: true });
  let mayUnmask = false;
  all.allows = ({ resourceAttributes: { verb } }) => mayUnmask || verb !== 'unmask';
  const refused = { code: 'permission_denied', message: expect.stringContaining('bob may not unmask') };
  for (const analysis of [
    pluginOf('linux.vmaregexscan.VmaRegExScan', 'pattern'),
    pluginOf('linux.vmayarascan.VmaYaraScan', 'yara_string'),
  ]) {
    await expect(operator.createCapture({ ...order('k1'), analysis })).rejects.toMatchObject(refused);
    await expect(operator.analyzeCapture({ captureId: 'c-9', analysis })).rejects.toMatchObject(refused);
    const spec = { ...schedule('s1'), analysis };
    await expect(schedules.createSchedule({ spec })).rejects.toMatchObject(refused);
  }
  // It takes a pid, and shows nothing that is not masked.
  await schedules.createSchedule({ spec: { ...schedule('s2'), analysis: pluginOf('linux.bash.Bash', 'pid') } });
  mayUnmask = true;
  const analysis = pluginOf('linux.vmaregexscan.VmaRegExScan', 'pattern');
  await schedules.createSchedule({ spec: { ...schedule('s1'), analysis } });
  await operator.createCapture({ ...order('k1'), analysis });
});
