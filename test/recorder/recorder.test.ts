import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Severity } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { elfCore, elfNote } from '../../agent/testing/system-tree.ts';
import { until } from '../../collector/testing/files.ts';
import { ensureVolatility } from '../../tools/setup/volatility.ts';
import { kcorder } from '../../tools/stage/command-line.ts';
import { type GcsServer, startGcs } from '../../tools/stage/gcs-server.ts';
import type { Watchtower } from '../../tools/stage/prometheus.ts';
import { ensureRecording } from '../kernels/record.ts';
import { recordedNode } from '../kernels/recorded.ts';
import { dashboardExpressions, mayBeEmpty, ruleExpressions } from '../monitoring/expressions.ts';
import { clears, fires, openScene, type Scene } from '../monitoring/scene.ts';
import { rulesPath } from '../monitoring/shortened.ts';

interface JsonCapture {
  readonly id: string;
  readonly schedule: string;
  readonly phase: string;
  readonly sha256: string;
  readonly outcome?: { readonly kind: string };
  readonly analysis?: { readonly state: string };
  readonly storage?: {
    readonly place: string;
    readonly location: string;
    readonly storedBytes: string;
    readonly tombstone?: { readonly by: string; readonly reason: string };
  };
}

const node = 'n1';
const bucket = 'kcorder-recorder';
const kept = 1;
/** Each look is a start of the command line. */
const lookMs = 1_000;
const rounds = 2;

/** Expressions of the dashboard and the rules that have no data though they should. */
async function emptyOf(tower: Watchtower): Promise<string[]> {
  const empty: string[] = [];
  for (const { title, expression } of [...dashboardExpressions(), ...ruleExpressions(rulesPath)]) {
    const series = await tower.query(expression);
    if (series.length === 0 && !mayBeEmpty(title)) empty.push(`${title}: ${expression}`);
  }
  return empty;
}

/** Waits until all of these expressions have data: a rate has none before the second scrape. */
async function haveData(tower: Watchtower): Promise<void> {
  await expect.poll(async () => await emptyOf(tower), { timeout: 240_000, interval: 500 }).toEqual([]);
}

/** A recorded node, played to the agent and collector of now: it is captured every minute into a bucket, of which the newest stay. */
describe('the recorder runs by itself', () => {
  const dir = mkdtempSync(join(tmpdir(), 'kcorder-recorder-'));
  let gcs: GcsServer;
  let scene: Scene;

  beforeAll(async () => {
    const { imagePath, treeDir } = await ensureRecording(recordedNode('6.1', false));
    gcs = await startGcs();
    await gcs.makeBucket(bucket);
    scene = await openScene({
      imagePath,
      recordedDir: treeDir,
      settings: {
        KCORDER_STORE: 'gcs',
        KCORDER_GCS_BUCKET: bucket,
        KCORDER_GCS_PREFIX: 'lab',
        KCORDER_GCS_ENDPOINT: gcs.endpoint,
        KCORDER_SPOOL_SECONDS: '0',
        KCORDER_PYTHON: await ensureVolatility(),
      },
    });
    await until(async () => (await scene.tower.query('kcorder_agents_attached == 1')).length > 0, 250);
  }, 1_200_000);

  afterAll(async () => {
    await scene?.[Symbol.asyncDispose]();
    await gcs?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  const run = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await kcorder(scene.rig.context, args);
    if (exitCode !== 0) throw new Error(`kcorder ${args.join(' ')} ended with ${exitCode}: ${stderr}${stdout}`);
    return stdout;
  };
  const captures = async (): Promise<JsonCapture[]> =>
    (JSON.parse(await run('get', 'captures', '-o', 'json')) as { captures: JsonCapture[] }).captures;
  const atRest = async (): Promise<JsonCapture[]> =>
    (await captures()).filter(({ storage }) => storage?.place === 'STORAGE_PLACE_STORE');

  test('the bucket is fit for it', async () => {
    const steps = await run('admin', 'store-check');
    expect(steps).toMatch(/ok/);
    expect(steps).not.toMatch(/failed/);
  });

  test('by the minute the node is captured, and what was captured is put into the bucket', async () => {
    await run('schedule', 'create', 'minutely', '--cron', '* * * * *', '--node', node, '--keep-last', String(kept));
    await until(async () => (await atRest()).length > 0, lookMs);
  });

  test('a node that lies about its kernel is found out: a critical finding, and its alert', async () => {
    // The next capture runs meanwhile.
    const [capture] = await atRest();
    const id = capture?.id ?? '';
    const imagePath = join(dir, 'lie.lime');
    await run('download', id, '-f', imagePath);
    const isfDir = join(dir, 'isf');
    mkdirSync(isfDir);
    await run('symbols', 'export', node, '-f', join(dir, 'true.json'));
    const { node: told } = JSON.parse(readFileSync(`${imagePath}.manifest.json`, 'utf8')) as {
      node: { kernel: { banner: string; vmcoreinfo: string } };
    };
    // The node names another build than the one in its memory, and there are symbols of that name.
    const lie = told.kernel.banner.replace('#1 SMP', '#1 sMP');
    const isf = readFileSync(join(dir, 'true.json'), 'utf8');
    const [of, as] = [told.kernel.banner, lie].map((banner) => Buffer.from(`${banner}\n\0`).toString('base64'));
    expect(isf.split(of ?? '?')).toHaveLength(2);
    writeFileSync(join(isfDir, 'lie.json'), isf.replace(of ?? '?', as ?? '?'));
    const kcore = elfCore(elfNote('VMCOREINFO', 0, Buffer.from(told.kernel.vmcoreinfo)));
    const tree = { banner: `${lie}\n`, kcore, iomem: '00001000-3fffffff : System RAM\n' };
    const settings = { KCORDER_SYMBOL_DIRS: isfDir, KCORDER_PYTHON: await ensureVolatility() };
    await using liar = await openScene({ imagePath, tree, settings });
    const lied = await liar.rig.done(await liar.rig.order());
    const { findings } = await liar.rig.ask((operator) => operator.getAnalysis({ captureId: lied.id }));
    expect(findings[0], lied.analysis?.detail).toMatchObject({
      severity: Severity.CRITICAL,
      rule: 'kernel_mismatch',
    });
    await fires(liar.tower, 'KcorderCriticalFinding');
  });

  test('complete captures are analysed, and but for the newest they go', async () => {
    // One is deleted for each that comes after the first so many.
    await until(async () => {
      const places = (await captures()).map(({ storage }) => storage?.place);
      const count = (wanted: string): number => places.filter((place) => place === wanted).length;
      const isGone = count('STORAGE_PLACE_DELETED') >= rounds - kept;
      return places.length >= rounds && isGone && count('STORAGE_PLACE_STORE') >= kept;
    }, lookMs);
    await run('schedule', 'pause', 'minutely');
    await until(
      async () =>
        (await captures()).every(
          ({ phase, storage }) => phase === 'PHASE_DONE' && storage?.place !== 'STORAGE_PLACE_SPOOL',
        ),
      lookMs,
    );
    const all = await captures();
    for (const { schedule, outcome, analysis } of all) {
      expect({ schedule, outcome: outcome?.kind, analysis: analysis?.state }).toEqual({
        schedule: 'minutely',
        outcome: 'OUTCOME_KIND_COMPLETE',
        analysis: 'ANALYSIS_STATE_DONE',
      });
    }
    const stored = await atRest();
    expect(stored.length).toBeGreaterThanOrEqual(kept);
    for (const { id, storage } of stored) {
      expect(storage?.location).toBe(`gs://${bucket}/lab/captures/${id}/image.lime.zst`);
      // The plain image is gone from the disk.
      expect(readdirSync(join(scene.rig.dataDir, 'evidence', id)).filter((name) => name.startsWith('image'))).toEqual(
        [],
      );
    }
    const deleted = all.find(({ storage }) => storage?.tombstone !== undefined);
    expect(deleted?.storage?.tombstone).toMatchObject({ by: 'retention' });
  });

  test('no tick was doubled, and each that was not taken says why', async () => {
    const { runs } = JSON.parse(await run('schedule', 'runs', 'minutely', '-o', 'json')) as {
      runs: { tickAt: string; nodeName: string; state: string; reason: string; captureId: string }[];
    };
    const ticks = runs.filter(({ nodeName }) => nodeName === node).map(({ tickAt }) => tickAt);
    expect(new Set(ticks).size).toBe(ticks.length);
    const ids = runs.map(({ captureId }) => captureId).filter((id) => id !== '');
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.sort()).toEqual((await captures()).map(({ id }) => id).sort());
    expect(runs.map(({ state }) => state)).toContain('RUN_STATE_SUCCEEDED');
    for (const { state, reason } of runs) if (state !== 'RUN_STATE_SUCCEEDED') expect(reason).not.toBe('');
  });

  test('evidence in the bucket is downloaded as plain LiME, verified, and analysed again from there', async () => {
    const [capture] = await atRest();
    const id = capture?.id ?? '';
    const file = join(dir, 'again.lime');
    await run('download', id, '-f', file);
    expect(readFileSync(file).subarray(0, 4).toString('latin1')).toBe('EMiL');
    expect(await run('verify', id)).toContain(capture?.sha256 ?? '?');
    const before = JSON.parse(await run('ps', id, '-o', 'json')) as { processes: unknown };
    await run('analyze', id, '--wait');
    expect((JSON.parse(await run('ps', id, '-o', 'json')) as { processes: unknown }).processes).toEqual(
      before.processes,
    );
  });

  test('every expression of the dashboard and of the rules has data in this Prometheus, or may have none', async () => {
    // The other one is paused, so it has no next run.
    await run('schedule', 'create', 'yearly', '--cron', '@yearly', '--node', node, '--keep-last', '1');
    await haveData(scene.tower);
  });

  test('what was firing for the collector clears when it is back, and nothing is counted twice', async () => {
    const total = async (): Promise<number> =>
      Number((await scene.tower.query('sum(kcorder_captures_ended_total{outcome="complete"})'))[0]?.value[1]);
    const before = await total();
    await scene.rig.collector.kill();
    await fires(scene.tower, 'KcorderCollectorDown');
    await scene.rig.startCollector();
    await clears(scene.tower, 'KcorderCollectorDown');
    await until(async () => !Number.isNaN(await total()));
    expect(await total()).toBe(before);
  });

  test('evidence on hold is not deleted, by nobody, until it is released; then a tombstone stays', async () => {
    const [capture] = await atRest();
    const id = capture?.id ?? '';
    await run('hold', id, '--reason', 'INC-4711');
    await expect(run('delete', id, '--reason', 'no room', '--yes')).rejects.toThrow(/hold/);
    await run('release', id, '--reason', 'closed');
    await run('delete', id, '--reason', 'closed', '--yes');
    await expect(run('download', id, '-f', join(dir, 'gone.lime'))).rejects.toThrow(/deleted/);
    expect(await run('get', 'captures', id)).toContain('closed');
  });
});
