import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AnalysisState, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeReport } from '../analysis/report-file.ts';
import { report } from '../analysis/testing/queue-rig.ts';
import { AuditLog } from '../journal/audit-log.ts';
import { until } from '../testing/files.ts';
import { limeImage } from '../testing/lime-image.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
const image = limeImage(1, [5000]);
let rig: Rig;

beforeAll(async () => {
  rig = await Rig.start(parties);
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  parties[Symbol.dispose]();
});

/** A capture that is done, with the image whole or not. */
async function captured(node: string, whole = true): Promise<string> {
  const { agent, captureId } = await rig.ordered(node);
  const upload = await agent.open(captureId);
  await upload.chunks(image);
  await upload.finish(image, whole ? {} : { exitCode: 1 });
  await rig.done(captureId);
  return captureId;
}

/** Reads or changes the database while no collector has it. */
async function database<T>(body: (database: DatabaseSync) => T): Promise<T> {
  await rig.stopCollector();
  const opened = new DatabaseSync(join(rig.dataDir, 'kcorder.db'));
  const result = body(opened);
  opened.close();
  await rig.startCollector();
  return result;
}

test('an ended capture is analysed again: watchers see it wait, run and end, and all of it is on record', async () => {
  const captureId = await captured('n1');
  const { capture: before } = await rig.operator().getCapture({ captureId });
  expect(before?.analysis).toMatchObject({ state: AnalysisState.FAILED, reason: 'symbols_missing' });
  const { capture: asked } = await rig.operator().analyzeCapture({ captureId });
  expect([AnalysisState.PENDING, AnalysisState.RUNNING]).toContain(asked?.analysis?.state);
  const seen: (typeof before)[] = [];
  for await (const { capture } of rig.operator().watchCapture({ captureId })) seen.push(capture);
  expect(seen.at(-1)?.analysis).toEqual(before?.analysis);
  expect(seen.every((capture) => capture?.phase === Phase.DONE)).toBe(true);
  const records = await database((opened) => {
    const log = new AuditLog(opened);
    expect(log.firstBroken()).toBeUndefined();
    return log.of(captureId).slice(-2);
  });
  expect(records).toMatchObject([
    { actor: 'operator/alice', action: 'analysis_asked' },
    { actor: 'collector', action: 'analysed_again', detail: { kind: 'failed', reason: 'symbols_missing' } },
  ]);
});

test('a wish that waits when the collector ends is taken up by the next one', async () => {
  const captureId = await captured('n2');
  await database((opened) =>
    opened
      .prepare('INSERT INTO analyses_again (capture_id, requested_at, requested_by) VALUES (?, ?, ?)')
      .run(captureId, '2026-01-01T00:00:00.000Z', 'operator/alice'),
  );
  const ended = await until(async () => {
    const { capture } = await rig.operator().getCapture({ captureId });
    return capture?.analysis?.state === AnalysisState.FAILED && capture;
  });
  expect(ended.analysis?.reason).toBe('symbols_missing');
});

test('an image that is not complete is refused, and why', async () => {
  const captureId = await captured('n3', false);
  await expect(rig.operator().analyzeCapture({ captureId })).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringMatching(/not complete \(partial\).*could hide what is missing/),
  });
});

test('a capture that runs is refused, one without an image, and one that there is not', async () => {
  const { captureId } = await rig.ordered('n4');
  await expect(rig.operator().analyzeCapture({ captureId })).rejects.toMatchObject({ code: 'capture_running' });
  await rig.operator().cancelCapture({ captureId });
  await rig.done(captureId);
  await expect(rig.operator().analyzeCapture({ captureId })).rejects.toMatchObject({ code: 'evidence_missing' });
  await expect(rig.operator().analyzeCapture({ captureId: 'c-9' })).rejects.toMatchObject({ code: 'capture_unknown' });
});

test('deleted evidence is refused with who deleted it', async () => {
  const captureId = await captured('n5');
  await database((opened) =>
    opened.exec(
      `UPDATE storage SET place = 'deleted', deleted_at = '2026-01-01', deleted_by = 'operator/bob', delete_reason = 'a clean-up' WHERE capture_id = '${captureId}'`,
    ),
  );
  await expect(rig.operator().analyzeCapture({ captureId })).rejects.toMatchObject({
    code: 'evidence_deleted',
    message: expect.stringContaining('operator/bob'),
  });
});

test('rows are not replaced by those of other arguments unless that is asked for', async () => {
  const captureId = await captured('n6');
  const rows = { state: 'rows', reason: '', rowCount: 412, seconds: 1, warnings: [], columns: ['PID'] } as const;
  const dir = join(rig.dataDir, 'evidence', captureId, 'analysis');
  mkdirSync(dir, { recursive: true });
  await writeReport(dir, {
    ...report,
    plugins: [
      { ...rows, name: 'linux.lsof.Lsof' },
      { ...rows, name: 'linux.bash.Bash', arguments: { pid: '7' } },
      { ...rows, name: 'linux.elfs.Elfs', state: 'empty', rowCount: 0 },
    ],
  });
  const ask = (name: string, pid: string, replace = false) => {
    const plugins = [{ name, arguments: pid === '' ? [] : [{ name: 'pid', value: pid }] }];
    return rig.operator().analyzeCapture({ captureId, analysis: { plugins }, replace });
  };
  const refused = (message: RegExp) => ({ code: 'results_exist', message: expect.stringMatching(message) });
  await expect(ask('linux.lsof.Lsof', '7')).rejects.toMatchObject(
    refused(/412 rows of linux\.lsof\.Lsof, run without arguments, .* Repeat with --replace/),
  );
  await expect(ask('linux.bash.Bash', '8')).rejects.toMatchObject(refused(/linux\.bash\.Bash, run with pid=7, /));
  const allowed = [
    ['linux.lsof.Lsof', '', false],
    ['linux.bash.Bash', '7', false],
    ['linux.elfs.Elfs', '7', false],
    ['linux.lsof.Lsof', '7', true],
  ] as const;
  for (const [name, pid, replace] of allowed) {
    expect((await ask(name, pid, replace)).capture?.id).toBe(captureId);
    await rig.done(captureId);
    await until(async () => {
      const { capture } = await rig.operator().getCapture({ captureId });
      return capture?.analysis?.state === AnalysisState.FAILED;
    });
  }
  const { capture } = await rig.operator().getCapture({ captureId });
  expect(capture?.analysis).toMatchObject({ reason: 'symbols_missing', resultsKept: true });
});
