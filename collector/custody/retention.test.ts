import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RetentionRecord } from '../store/storage-record.ts';
import { expired, type RetentionRules } from './retention.ts';

const dayMs = 86_400_000;
const nowMs = Date.parse('2026-06-01T00:00:00.000Z');
const sealedAt = (days: number): string => new Date(nowMs - days * dayMs).toISOString();

const of = (captureId: string, days: number, changes: Partial<RetentionRecord> = {}): RetentionRecord => ({
  captureId,
  nodeName: 'n1',
  schedule: 's1',
  sequence: 1_000 - days,
  requestedAt: sealedAt(days),
  sealedAt: sealedAt(days),
  complete: true,
  deletable: true,
  ...changes,
});

const rules = (keepLast: number, ttlDays: number, handDays = 0, since = ''): RetentionRules => ({
  schedules: new Map([['s1', { keepLast, ttlMs: ttlDays * dayMs, since }]]),
  retentionMs: handDays * dayMs,
});

const four = [of('c-1', 4), of('c-2', 3), of('c-3', 2), of('c-4', 1)];

test.each([
  { sentence: 'with nothing set nothing goes', records: four, by: rules(0, 0), gone: [] },
  { sentence: 'beyond the last two the older go', records: four, by: rules(2, 0), gone: ['c-1', 'c-2'] },
  { sentence: 'with fewer than are to be kept nothing goes', records: four, by: rules(9, 0), gone: [] },
  { sentence: 'what is older than its time goes', records: four, by: rules(0, 2), gone: ['c-1', 'c-2'] },
  { sentence: 'the last stay, however old', records: four, by: rules(3, 0.5), gone: ['c-1'] },
  { sentence: 'what is beyond the last stays while it is young', records: four, by: rules(1, 3), gone: ['c-1'] },
  {
    sentence: 'what is on hold stays, and counts as one of the last',
    records: [...four.slice(0, 3), of('c-4', 1, { deletable: false })],
    by: rules(2, 0),
    gone: ['c-1', 'c-2'],
  },
  {
    sentence: 'what is on hold stays, whatever its age',
    records: [of('c-1', 400, { deletable: false })],
    by: rules(0, 1),
    gone: [],
  },
  {
    sentence: 'an incomplete image does not count as one of the last',
    records: [...four.slice(0, 3), of('c-4', 1, { complete: false })],
    by: rules(2, 0),
    gone: ['c-1'],
  },
  {
    sentence: 'an incomplete image that is older than the last goes with the others',
    records: [of('c-0', 9, { complete: false }), ...four],
    by: rules(4, 0),
    gone: ['c-0'],
  },
  {
    sentence: 'an incomplete image stays while there are not enough complete ones',
    records: [of('c-0', 9, { complete: false }), ...four],
    by: rules(5, 0),
    gone: [],
  },
  {
    sentence: 'what a schedule made that is there no more stays',
    records: [of('c-1', 400, { schedule: 'gone' })],
    by: rules(1, 1, 1),
    gone: [],
  },
  {
    sentence: 'what an earlier schedule of the name made stays, however little the new one keeps',
    records: four,
    by: rules(1, 0, 0, sealedAt(2)),
    gone: ['c-3'],
  },
  {
    sentence:
      'what an earlier schedule of the name made stays, however old, and whatever the time for what people asked for',
    records: four,
    by: rules(0, 0.5, 0.5, sealedAt(2)),
    gone: ['c-3', 'c-4'],
  },
  {
    sentence: 'what an earlier schedule of the name made and was sealed after the new one was created stays',
    records: [of('c-0', 1.5, { requestedAt: sealedAt(3) }), of('c-9', 1)],
    by: rules(1, 0, 0, sealedAt(2)),
    gone: [],
  },
  {
    sentence: 'what people asked for goes by its own time',
    records: [of('c-1', 4, { schedule: '' }), of('c-2', 2, { schedule: '' })],
    by: rules(1, 1, 3),
    gone: ['c-1'],
  },
  {
    sentence: 'what people asked for stays without one',
    records: [of('c-1', 400, { schedule: '' })],
    by: rules(1, 1),
    gone: [],
  },
  {
    sentence: 'each node has last ones of its own',
    records: [...four, of('d-1', 9, { nodeName: 'n2' }), of('d-2', 8, { nodeName: 'n2' })],
    by: rules(1, 0),
    gone: ['d-1', 'c-1', 'c-2', 'c-3'],
  },
  { sentence: 'what was sealed in the future stays', records: [of('c-1', -30)], by: rules(0, 1, 1), gone: [] },
  {
    sentence: 'what was sealed last stays, also when the clock ran ahead before and was put right',
    records: [of('c-1', -900, { sequence: 1 }), of('c-2', -899, { sequence: 2 }), of('c-3', 1, { sequence: 3 })],
    by: rules(2, 0),
    gone: ['c-1'],
  },
])('$sentence', ({ records, by, gone }) => {
  expect(expired(records, by, nowMs).map(({ captureId }) => captureId)).toEqual(gone);
});

test('the reason says which rule it was', () => {
  expect(expired(four, rules(3, 0), nowMs)).toEqual([
    {
      captureId: 'c-1',
      sequence: 996,
      byAge: false,
      reason: 'it is beyond the newest 3 complete images of node n1 by schedule s1',
    },
  ]);
  expect(expired(four, rules(0, 3), nowMs)[0]).toMatchObject({ reason: 'it is older than 3 days', byAge: true });
});

/** The same in the words of the contract, one image at a time and as slow as it likes. */
function naively(records: readonly RetentionRecord[], { schedules, retentionMs }: RetentionRules): Set<string> {
  const gone = new Set<string>();
  for (const record of records) {
    const rule = record.schedule === '' ? { keepLast: 0, ttlMs: retentionMs } : schedules.get(record.schedule);
    if (rule === undefined || !record.deletable) continue;
    const isCovered = ({ requestedAt }: RetentionRecord): boolean => !('since' in rule) || requestedAt >= rule.since;
    if (!isCovered(record)) continue;
    const isNewer = (other: RetentionRecord): boolean => other.sequence > record.sequence;
    const newerComplete = records.filter(
      (other) =>
        other.schedule === record.schedule &&
        other.nodeName === record.nodeName &&
        other.complete &&
        isNewer(other) &&
        isCovered(other),
    ).length;
    const isAmongLast = record.complete && newerComplete < rule.keepLast;
    const ageMs = nowMs - Date.parse(record.sealedAt);
    const goes =
      (rule.ttlMs ?? 0) > 0 ? ageMs > (rule.ttlMs ?? 0) : rule.keepLast > 0 && newerComplete >= rule.keepLast;
    if (goes && !isAmongLast) gone.add(record.captureId);
  }
  return gone;
}

const records = fc
  .uniqueArray(
    fc.record({
      sequence: fc.integer({ min: 0, max: 999 }),
      nodeName: fc.constantFrom('n1', 'n2'),
      schedule: fc.constantFrom('', 's1', 's2', 'gone'),
      // In any order: clocks are set.
      sealedAt: fc.integer({ min: -2, max: 12 }).map(sealedAt),
      requestedAt: fc.integer({ min: -2, max: 12 }).map(sealedAt),
      complete: fc.boolean(),
      deletable: fc.boolean(),
    }),
    { selector: ({ sequence }) => sequence, maxLength: 40 },
  )
  .map((all) => all.map((record) => ({ ...record, captureId: `c-${record.sequence}` })));
const rule = fc.record({
  keepLast: fc.integer({ min: 0, max: 4 }),
  ttlMs: fc.integer({ min: 0, max: 10 }).map((days) => days * dayMs),
  since: fc.integer({ min: -2, max: 12 }).map(sealedAt),
});

test('whatever there is, the same goes as in the naive model, oldest first, and never what must stay', () => {
  fc.assert(
    fc.property(records, rule, rule, fc.integer({ min: 0, max: 10 }), (all, first, second, days) => {
      const by = {
        schedules: new Map([
          ['s1', first],
          ['s2', second],
        ]),
        retentionMs: days * dayMs,
      };
      const found = expired(all, by, nowMs);
      expect(new Set(found.map(({ captureId }) => captureId))).toEqual(naively(all, by));
      expect(found.map((each) => each.sequence)).toEqual(found.map((each) => each.sequence).sort((a, b) => a - b));
      const byId = new Map(all.map((record) => [record.captureId, record]));
      for (const { captureId } of found) {
        const record = byId.get(captureId) as RetentionRecord;
        expect(record.deletable).toBe(true);
        if (!record.complete || (by.schedules.get(record.schedule)?.keepLast ?? 0) === 0) continue;
        const newest = all.filter(
          ({ schedule, nodeName, complete }) =>
            schedule === record.schedule && nodeName === record.nodeName && complete,
        );
        expect(newest.some((other) => other.sequence > record.sequence)).toBe(true);
      }
    }),
    { numRuns: 2_000 },
  );
});
