import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { openAnonymousChannel } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { EvidenceService, type Verdict } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { ScheduleService } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { expect, test } from 'vitest';
import { thirdVersion } from '../../collector/journal/testing/third-version.ts';
import { makeScratch, until } from '../../collector/testing/files.ts';
import { freePort } from '../../collector/testing/free-port.ts';
import type { FaultRig } from '../faults/rig.ts';
import { clears, fires, openScene, seen } from './scene.ts';
import { alertNames } from './shortened.ts';

/* Each alert is brought about by what it is for, and seen in Prometheus' and Alertmanager's own APIs. Most of it is waiting, so some scenes
   play at once. */

const iomem = '00001000-04000fff : System RAM\n';

/** A schedule that comes every ten seconds. */
async function everyTenSeconds(rig: FaultRig, name: string, nodeName: string): Promise<void> {
  const target = { nodeNames: [nodeName] };
  const startingDeadline = { seconds: 5n, nanos: 0 };
  await rig.askOf(ScheduleService, (schedules) =>
    schedules.createSchedule({ spec: { name, cron: '*/10 * * * * *', target, startingDeadline, retention: {} } }),
  );
}

/* First, since it takes longest: the store is given up after two minutes of attempts. */
test.concurrent('a store that is not there', async () => {
  const settings = {
    KCORDER_STORE: 'gcs',
    KCORDER_GCS_BUCKET: 'nowhere',
    KCORDER_GCS_ENDPOINT: `http://127.0.0.1:${await freePort()}`,
    KCORDER_SPOOL_SECONDS: '0',
  };
  await using scene = await openScene({ settings });
  const { rig, tower } = scene;
  await rig.done(await rig.order());
  await fires(tower, 'KcorderEvidenceNotStored');
});

test.concurrent('programs that go away: the agent, then the collector, whose audit log is changed meanwhile, then the target itself', async () => {
  await using scene = await openScene();
  const { rig, tower } = scene;
  await rig.done(await rig.order());
  await fires(tower, 'KcorderWatchdog');
  await until(async () => (await tower.query('up == 1')).length === 2);
  await rig.agent.kill();
  await fires(tower, 'KcorderAgentDown', 'KcorderAgentsMissing');
  await rig.startAgent();
  await clears(tower, 'KcorderAgentDown');
  await rig.collector.kill();
  await fires(tower, 'KcorderCollectorDown');
  const database = new DatabaseSync(join(rig.dataDir, 'kcorder.db'));
  database.exec(`UPDATE audit SET actor = 'operator/nobody' WHERE seq = 1`);
  database.close();
  await rig.startCollector();
  await fires(tower, 'KcorderAuditChainBroken');
  // The jobs stay, as in a cluster, where only their pods are gone.
  await tower.scrape(['collector', 'agent'].map((part) => ({ job: `kcorder-${part}`, targets: [] })));
  await fires(tower, 'KcorderCollectorAbsent');
});

test.concurrent('rows of an earlier version that violate the checks, until somebody removes them', async () => {
  using scratch = makeScratch();
  const path = join(scratch.dir, 'kcorder.db');
  const earlier = new DatabaseSync(path);
  earlier.exec(thirdVersion);
  earlier.exec(`INSERT INTO nodes VALUES ('uid-2', 'n2', 'yesterday', '0.1.0', '{}', '[]')`);
  earlier.close();
  await using scene = await openScene({ dataDir: scratch.dir });
  const { rig, tower } = scene;
  await fires(tower, 'KcorderRowsQuarantined');
  await rig.collector.kill();
  const database = new DatabaseSync(path);
  expect(database.prepare('SELECT source, why FROM quarantine').all()).toMatchObject([
    { source: 'nodes', why: 'node_times' },
  ]);
  database.exec('DELETE FROM quarantine WHERE sequence IN (1)');
  database.close();
  await rig.startCollector();
  await clears(tower, 'KcorderRowsQuarantined');
});

test.concurrent('captures of which only a part is there, and one that stands still', async () => {
  await using scene = await openScene({ imageBytes: 24 << 20, bytesPerSecond: 8 << 20, avmlExitCode: 1 });
  const { rig, tower } = scene;
  await until(async () => (await tower.query('kcorder_captures_ended_total')).length > 0);
  const partial = await rig.done(await rig.order());
  expect(partial.outcome?.kind).toBe(OutcomeKind.PARTIAL);
  await fires(tower, 'KcorderPartialCapture');
  const captureId = await rig.order();
  await until(async () => ((await rig.capture(captureId))?.durableBytes ?? 0n) > 0n);
  rig.agent.signal('SIGSTOP');
  await fires(tower, 'KcorderCaptureStuck');
  rig.agent.signal('SIGCONT');
});

test.concurrent('a schedule whose captures all fail, and one for a node that never comes', async () => {
  using scratch = makeScratch();
  const imagePath = join(scratch.dir, 'empty.lime');
  writeFileSync(imagePath, '');
  await using scene = await openScene({ imagePath, avmlExitCode: 1 });
  const { rig, tower } = scene;
  await until(async () => (await tower.query('kcorder_captures_ended_total')).length > 0);
  await everyTenSeconds(rig, 'failing', 'n1');
  await everyTenSeconds(rig, 'nowhere', 'ghost');
  await fires(
    tower,
    'KcorderCaptureFailed',
    'KcorderScheduleRunsMissed',
    'KcorderScheduleWithoutSuccess',
    'KcorderCaptureFailingPersistently',
  );
});

test.concurrent('a schedule that had success on a node, until its agent went away', async () => {
  await using scene = await openScene();
  const { rig, tower } = scene;
  await everyTenSeconds(rig, 'rest', 'n1');
  await until(
    async () => (await tower.query('kcorder_capture_last_success_timestamp_seconds{schedule="rest"} > 0')).length > 0,
  );
  await rig.agent.kill();
  await fires(tower, 'KcorderNodeWithoutSuccess');
});

test.concurrent('a kernel without symbols, whose captures cannot be analysed', async () => {
  await using scene = await openScene();
  const { rig, tower } = scene;
  await until(async () => (await tower.query('kcorder_analyses_ended_total')).length > 0);
  await rig.done(await rig.order());
  await fires(tower, 'KcorderSymbolsMissing', 'KcorderAnalysesFailing');
});

test.concurrent('analyses that wait for a source of symbols that says nothing', async () => {
  const { createServer } = await import('node:http');
  const silent = createServer(() => undefined);
  const port = await freePort();
  await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve));
  try {
    await using scene = await openScene({ settings: { KCORDER_SYMBOL_BUCKETS: `http://127.0.0.1:${port}` } });
    await scene.rig.order();
    await fires(scene.tower, 'KcorderAnalysisBacklog');
  } finally {
    silent.closeAllConnections();
    silent.close();
  }
});

test.concurrent('a quota that is nearly used up, and evidence that was changed', async () => {
  // Room for one image of all of the node's memory, and hardly more.
  const settings = { KCORDER_QUOTA_BYTES: '68200000' };
  await using scene = await openScene({ imageBytes: (64 << 20) - (256 << 10), tree: { iomem }, settings });
  const { rig, tower } = scene;
  const captureId = await rig.order();
  await rig.done(captureId);
  await fires(tower, 'KcorderEvidenceStoreFilling', 'KcorderEvidenceStoreFull');
  const image = openSync(join(rig.dataDir, 'evidence', captureId, 'image.lime'), 'r+');
  writeSync(image, Buffer.from([0xff, 0x00, 0xff, 0x00]), 0, 4, 20 << 20);
  closeSync(image);
  const verdict = await rig.askOf(EvidenceService, async ({ verifyEvidence }) => {
    let last: Verdict | undefined;
    for await (const answer of verifyEvidence({ captureId })) last = answer.verdict;
    return last;
  });
  expect(verdict).toMatchObject({ intact: false, badFrom: BigInt(16 << 20), badTo: BigInt(32 << 20) });
  await fires(tower, 'KcorderVerificationFailed');
});

test.runIf(process.getuid?.() === 0)('a disk that takes no more of the journal', { concurrent: true }, async () => {
  using scratch = makeScratch();
  const disk = join(scratch.dir, 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m,mode=0700', 'kcorder-monitoring', disk]);
  try {
    await using scene = await openScene({ dataDir: join(disk, 'data'), tree: { iomem } });
    const { rig, tower } = scene;
    await until(async () => (await tower.query('kcorder_journal_write_failures_total')).length > 0);
    for (let free = 1; free > 0; free = statfsSync(disk).bavail)
      appendFileSync(join(disk, 'ballast'), Buffer.alloc(Math.min(1 << 20, free * 4096), 0x42));
    const captureId = (await rig.ask((operator) => operator.listCaptures({}))).captures[0]?.id ?? 'none';
    // An approval is an entry of the journal too; small ones may still find room.
    for (let n = 0; n < 500; n += 1) {
      const spec = { nodeName: `n${n}`, reason: `${captureId} ${'x'.repeat(900)}` };
      const refused = await rig
        .ask((operator) => operator.approveCapture(spec))
        .then(
          () => false,
          (error: unknown) => Fault.from(error).code === 'storage_failed',
        );
      if (refused) break;
      // Ten records a second are what one caller may add.
      if (n >= 50) await sleep(100);
    }
    await fires(tower, 'KcorderAuditSinkFailing');
  } finally {
    execFileSync('umount', ['--lazy', disk]);
  }
});

/** Makes a program break a promise that nothing waits for, whenever it gets SIGUSR2. */
const breakable = `--import=data:text/javascript,${encodeURIComponent(`process.on('SIGUSR2', () => void Promise.reject(new Error('nobody waits')))`)}`;

test.concurrent('whom to tell cannot be told, a changed file cannot be used, and an error that nothing waits for ends nothing', async () => {
  using scratch = makeScratch();
  const webhooks = join(scratch.dir, 'webhooks.json');
  const schedules = join(scratch.dir, 'schedules.json');
  const url = `http://127.0.0.1:${await freePort()}/`;
  const entry = { name: 'nobody', url, format: 'kcorder', secret: 'a secret of this test alone' };
  writeFileSync(webhooks, JSON.stringify({ webhooks: [entry] }));
  writeFileSync(schedules, JSON.stringify({ schedules: [] }));
  const settings = { KCORDER_WEBHOOKS_FILE: webhooks, KCORDER_SCHEDULES_FILE: schedules, NODE_OPTIONS: breakable };
  await using scene = await openScene({ settings });
  const { rig, tower } = scene;
  await until(async () => (await tower.query('kcorder_reload_failures_total')).length > 0);
  writeFileSync(schedules, '{"schedules": [{"name": "UPPER"}]}');
  rig.collector.signal('SIGUSR2');
  await rig.done(await rig.order());
  await fires(tower, 'KcorderNotificationsFailing', 'KcorderConfigurationRejected', 'KcorderUnexpectedErrors');
  expect(rig.collector.saw('nobody waits')).toBe(true);
  expect(rig.collector.running).toBe(true);
});

test.concurrent('somebody who tries to be an agent, and a certificate that ends in days', async () => {
  const port = await freePort();
  const settings = { KCORDER_AUTHORITY: 'directory', KCORDER_API_LISTEN: `127.0.0.1:${port}` };
  await using scene = await openScene({ settings, certificate: { begunDaysAgo: 30, days: 5 } });
  const { rig, tower } = scene;
  await until(async () => (await tower.query('kcorder_enrolment_refusals_total')).length > 0);
  const channel = openAnonymousChannel(`127.0.0.1:${port}`, rig.ca, { serverName: 'localhost' });
  const { enrol } = connect(EnrolmentService, channel);
  let isTrying = true;
  const trying = (async () => {
    // Most attempts are turned away before the token is looked at: it takes somebody who goes on.
    for (let n = 0; isTrying; n += 1) {
      await enrol({ credential: { case: 'joinToken', value: `guess-${n}` } }).catch(() => undefined);
      await sleep(250);
    }
  })();
  try {
    await fires(tower, 'KcorderEnrolmentRefusals', 'KcorderCertificateNearEnd');
  } finally {
    isTrying = false;
    await trying;
    channel.close();
  }
});

test('an alert that nothing here brings about is on the list of those', () => {
  // The API server's is seen in test/e2e, the finding in test/recorder: they need a cluster and a real kernel.
  const elsewhere = ['KcorderInventoryStale', 'KcorderCriticalFinding'];
  expect(alertNames().filter((name) => !seen.has(name))).toEqual(elsewhere);
  expect(readdirSync(join(import.meta.dirname, 'rules')).length).toBeGreaterThanOrEqual(alertNames().length);
});
