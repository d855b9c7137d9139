import { Fault } from '@kcorder/proto/fault.ts';
import { afterEach, expect, test, vi } from 'vitest';
import type { RetentionRecord } from '../store/storage-record.ts';
import { Retention, type RetentionDeps } from './retention-rounds.ts';

afterEach(() => void vi.useRealTimers());

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const start = Date.parse('2026-06-01T00:00:00.000Z');

/** Retention over records in memory, on clocks that a test sets. */
class Scene {
  wallMs = start;
  monotonicMs = 1_000;
  newest = new Date(start).toISOString();
  records: RetentionRecord[] = [];
  retentionMs = 7 * dayMs;
  keepLast = 0;
  rounds = 0;
  readonly deleted: string[] = [];
  readonly told: string[] = [];
  refuse: (captureId: string) => Fault | undefined = () => undefined;

  add(captureId: string, days: number, schedule = ''): this {
    const sealedAt = new Date(start - days * dayMs).toISOString();
    this.records.push({
      captureId,
      sequence: Math.round(1_000 - days * 100),
      nodeName: 'n1',
      schedule,
      sealedAt,
      requestedAt: sealedAt,
      complete: true,
      deletable: true,
    });
    return this;
  }

  open(): Retention {
    const deps: RetentionDeps = {
      queue: {
        makers: () =>
          [...new Set(this.records.map(({ schedule }) => schedule))].map((schedule) => ({ schedule, nodeName: 'n1' })),
        madeBy: (schedule) => this.records.filter((record) => record.schedule === schedule),
        newestMoment: () => this.newest,
      },
      deletions: {
        delete: async (captureId, actor) => {
          const refused = this.refuse(captureId);
          this.told.push(`asked ${captureId}`);
          if (refused !== undefined) throw refused;
          this.records = this.records.filter((record) => record.captureId !== captureId);
          this.deleted.push(`${captureId} ${actor}`);
        },
        goOn: async () => {
          this.rounds += 1;
        },
      },
      rules: () => ({
        schedules: new Map([['s1', { keepLast: this.keepLast, since: '' }]]),
        retentionMs: this.retentionMs,
      }),
      events: {
        retentionFailed: (captureId, error) => this.told.push(`failed ${captureId}: ${String(error)}`),
        clockMoved: (byMs) => this.told.push(`clock ${Math.round(byMs / hourMs)} h`),
      },
    };
    return new Retention(deps, { wallMs: () => this.wallMs, monotonicMs: () => this.monotonicMs });
  }

  /** Time goes by on both clocks. */
  pass(ms: number): void {
    this.wallMs += ms;
    this.monotonicMs += ms;
  }
}

test('what is expired is deleted by the actor retention, oldest first', async () => {
  const scene = new Scene().add('c-2', 9).add('c-1', 10).add('c-3', 1);
  await scene.open().round();
  expect(scene.deleted).toEqual(['c-1 retention', 'c-2 retention']);
});

test('no more than 200 go in one round', async () => {
  const scene = new Scene();
  for (let index = 0; index < 450; index += 1) scene.add(`c-${index}`, 10 + index);
  const retention = scene.open();
  for (const left of [250, 50, 0]) {
    await retention.round();
    expect(scene.records).toHaveLength(left);
    scene.pass(600_000);
  }
  expect(scene.deleted[0]).toBe('c-449 retention');
});

test.each([
  { sentence: 'years ahead', byMs: 3 * 365 * dayMs },
  { sentence: 'two hours ahead', byMs: 2 * hourMs },
  { sentence: 'years back', byMs: -3 * 365 * dayMs },
])('when the clock jumps $sentence it is told once, and for a day nothing goes by its age', async ({ byMs }) => {
  const scene = new Scene().add('c-1', 6.99).add('c-2', 1, 's1').add('c-3', 0, 's1');
  const retention = scene.open();
  await retention.round();
  scene.keepLast = 1;
  scene.wallMs += byMs;
  for (let hours = 0; hours < 23; hours += 1) {
    scene.pass(hourMs);
    await retention.round();
  }
  // What is beyond the last does not hang on the clock.
  expect(scene.deleted).toEqual(['c-2 retention']);
  expect(scene.told.filter((told) => told.startsWith('clock'))).toEqual([`clock ${Math.round(byMs / hourMs)} h`]);
  scene.pass(2 * hourMs);
  await retention.round();
  expect(scene.deleted.length).toBe(byMs > 0 ? 2 : 1);
});

test('a clock that drifts, or is set by some minutes, holds nothing up', async () => {
  const scene = new Scene().add('c-1', 6.5);
  const retention = scene.open();
  for (let hours = 0; hours < 24; hours += 1) {
    await retention.round();
    scene.pass(hourMs);
    scene.wallMs += hours % 2 === 0 ? 600_000 : -500_000;
  }
  expect(scene.deleted).toEqual(['c-1 retention']);
  expect(scene.told).toEqual(['asked c-1']);
});

test.each([
  { sentence: 'a collector that was down for some hours goes on', afterMs: 5 * hourMs, told: [], deleted: 1 },
  {
    sentence: 'a clock that jumped while it was down is told',
    afterMs: 400 * dayMs,
    told: ['clock 9600 h'],
    deleted: 0,
  },
])('$sentence', async ({ afterMs, told, deleted }) => {
  const scene = new Scene().add('c-1', 8);
  scene.wallMs += afterMs;
  const retention = scene.open();
  // What this run puts on record does not hide it.
  scene.newest = new Date(scene.wallMs).toISOString();
  await retention.round();
  expect(scene.told.filter((each) => each.startsWith('clock'))).toEqual(told);
  expect(scene.deleted).toHaveLength(deleted);
  scene.pass(dayMs);
  await retention.round();
  expect(scene.deleted).toHaveLength(1);
});

test('what the store keeps is tried again when that is over, told once, and holds up no other', async () => {
  const scene = new Scene().add('c-1', 20).add('c-2', 10);
  scene.refuse = (captureId) =>
    captureId === 'c-1' && scene.wallMs < start + 3 * dayMs
      ? new Fault('evidence_retained', 'gs://b/c-1 is retained until 2026-06-04T00:00:00.000Z: the bucket keeps it')
      : undefined;
  const retention = scene.open();
  for (let hours = 0; hours < 71; hours += 1) {
    await retention.round();
    scene.pass(hourMs);
  }
  expect(scene.deleted).toEqual(['c-2 retention']);
  expect(scene.told.filter((told) => told === 'asked c-1')).toHaveLength(1);
  scene.pass(2 * hourMs);
  await retention.round();
  expect(scene.deleted).toEqual(['c-2 retention', 'c-1 retention']);
});

test('what was put on hold a moment ago is passed over without a word', async () => {
  const scene = new Scene().add('c-1', 20).add('c-2', 10);
  scene.refuse = (captureId) => (captureId === 'c-1' ? new Fault('evidence_held', 'on hold') : undefined);
  await scene.open().round();
  expect(scene.deleted).toEqual(['c-2 retention']);
  expect(scene.told).toEqual(['asked c-1', 'asked c-2']);
});

test('when the store is not there the round ends, and the next one tries again', async () => {
  const scene = new Scene().add('c-1', 20).add('c-2', 10);
  scene.refuse = () => new Fault('storage_failed', 'the connection broke');
  const retention = scene.open();
  await retention.round();
  expect(scene.told).toEqual(['asked c-1', 'failed c-1: Fault: the connection broke']);
  scene.refuse = () => undefined;
  await retention.round();
  expect(scene.deleted).toHaveLength(2);
});

test('by itself there is a round every ten minutes, and sooner when images are stored, but not within a minute', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const scene = new Scene();
  const retention = scene.open();
  const roundsAfter = async (ms: number): Promise<number> => {
    scene.pass(ms);
    vi.advanceTimersByTime(ms);
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    return scene.rounds;
  };
  retention.start();
  expect(await roundsAfter(0)).toBe(1);
  expect(await roundsAfter(30_000)).toBe(1);
  retention.wake();
  retention.wake();
  expect(await roundsAfter(29_999)).toBe(1);
  expect(await roundsAfter(1)).toBe(2);
  expect(await roundsAfter(599_999)).toBe(2);
  expect(await roundsAfter(1)).toBe(3);
  await retention.close();
});
