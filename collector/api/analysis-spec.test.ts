import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import type { AnalysisSpecSchema } from '@kcorder/proto/gen/kcorder/v1/plugins_pb.ts';
import { ScheduleService } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pluginTable } from '../analysis/plugins.ts';
import { AuditLog } from '../journal/audit-log.ts';
import { limeImage } from '../testing/lime-image.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
let rig: Rig;

beforeAll(async () => {
  rig = await Rig.start(parties, { analysisProfile: 'quick' });
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  parties[Symbol.dispose]();
});

const schedules = () => connect(ScheduleService, rig.channel(parties.operator));

type Spec = MessageInitShape<typeof AnalysisSpecSchema>;

const bash: Spec = { plugins: [{ name: 'linux.bash.Bash', arguments: [{ name: 'pid', value: '7' }] }] };
const kept = { plugins: [{ name: 'linux.bash.Bash', arguments: { pid: '7' } }] };

const twice = [1, 2].map(() => ({ name: 'pid', value: '7' }));

test.each<[string, Spec, RegExp]>([
  ['a profile beside plugins', { ...bash, profile: 'deep' }, /either a profile or plugins: name one of the two/],
  ['an unknown profile', { profile: 'all' }, /no profile "all"; there are quick, standard, deep/],
  ['an unknown plugin', { plugins: [{ name: 'Lsof' }] }, /no plugin "Lsof": did you mean linux\.lsof\.Lsof\?/],
  [
    'an argument twice',
    { plugins: [{ name: 'linux.bash.Bash', arguments: twice }] },
    /argument pid of .*is given twice/,
  ],
  [
    'an argument of no name of ours',
    { plugins: [{ name: 'linux.bash.Bash', arguments: [{ name: '__proto__', value: '7' }] }] },
    /takes no argument "__proto__"/,
  ],
])('%s is refused before anything is captured, analyzed or scheduled', async (_what, analysis, message) => {
  const agent = rig.agent('n1');
  await agent.attach();
  const refused = { code: 'invalid_argument', message: expect.stringMatching(message) };
  const order = { nodeName: 'n1', reason: 'a test', idempotencyKey: 'refused', analysis };
  await expect(rig.operator().createCapture(order)).rejects.toMatchObject(refused);
  await expect(rig.operator().analyzeCapture({ captureId: 'c-9', analysis })).rejects.toMatchObject(refused);
  const spec = { name: 's', cron: '@daily', analyze: true, analysis };
  await expect(schedules().createSchedule({ spec })).rejects.toMatchObject(refused);
  expect((await rig.operator().listCaptures({})).captures).toEqual([]);
});

test('what was asked for is kept, shown and on record; a key belongs to one analysis', async () => {
  const agent = rig.agent('n2');
  await agent.attach();
  const operator = rig.operator();
  const order = { nodeName: 'n2', reason: 'a test', idempotencyKey: 'k2', analysis: bash };
  const { capture } = await operator.createCapture(order);
  expect(capture?.analysis?.spec).toMatchObject(bash);
  const captureId = await agent.ordered();
  expect((await operator.createCapture(order)).capture?.id).toBe(captureId);
  for (const other of [{ profile: 'deep' }, {}])
    await expect(operator.createCapture({ ...order, analysis: other })).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining(`belongs to capture ${captureId} with another analysis`),
    });
  await expect(operator.cancelAnalysis({ captureId })).rejects.toMatchObject({ code: 'capture_running' });
  const image = limeImage(1, [5000]);
  const upload = await agent.open(captureId);
  await upload.chunks(image);
  await upload.finish(image);
  await rig.done(captureId);
  const { capture: asked } = await operator.analyzeCapture({ captureId, analysis: { profile: 'deep' } });
  expect(asked?.analysis?.spec?.profile).toBe('deep');
  for await (const _ of operator.watchCapture({ captureId }));
  await expect(operator.cancelAnalysis({ captureId })).rejects.toMatchObject({
    code: 'capture_ended',
    message: expect.stringContaining('there is nothing to cancel'),
  });
  await rig.stopCollector();
  const database = new DatabaseSync(join(rig.dataDir, 'kcorder.db'));
  const records = new AuditLog(database).of(captureId);
  expect(records.filter(({ action }) => action === 'requested')).toMatchObject([{ detail: { analysis: kept } }]);
  expect(records.filter(({ action }) => action === 'analysis_asked')).toMatchObject([{ detail: { profile: 'deep' } }]);
  // Damage of what is to run hides no capture.
  database.exec(`UPDATE analyses_again SET spec = '{'`);
  database.close();
  await rig.startCollector();
  expect((await rig.operator().getCapture({ captureId })).capture?.analysis?.spec).toBeUndefined();
});

test('a schedule has what its analyses run', async () => {
  const spec = { name: 'weekly', cron: '@weekly', analyze: true, analysis: bash };
  const { schedule } = await schedules().createSchedule({ spec });
  expect(schedule?.spec?.analysis).toMatchObject(bash);
  const captureOnly = { ...spec, name: 'only', analyze: false };
  await expect(schedules().createSchedule({ spec: captureOnly })).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining('analysis is for nothing, as analyze is false'),
  });
});

test('the plugins that can be named are listed with what they take', async () => {
  const { plugins, defaultProfile } = await rig.operator().listPlugins({});
  expect(defaultProfile).toBe('quick');
  expect(plugins.map(({ name }) => name)).toEqual(pluginTable.map(({ name }) => name).toSorted());
  const known = new Map(plugins.map((plugin) => [plugin.name, plugin]));
  expect(known.get('processes')?.profiles).toEqual(['quick', 'standard', 'deep']);
  expect(known.get('linux.vmaregexscan.VmaRegExScan')).toMatchObject({
    profiles: [],
    sensitive: true,
    needs: ['pattern'],
  });
  expect(known.get('linux.pagecache.RecoverFs')?.parameters).toMatchObject([
    { name: 'tmpfs_only', kind: 'flag', choices: [] },
    { name: 'compression_format', kind: 'choice', choices: ['gz', 'bz2', 'xz'] },
  ]);
});
