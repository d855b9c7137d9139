// Why it is done this way: docs/decisions/032-own-evidence-and-paced-records.md

import type { RetentionRecord } from '../store/storage-record.ts';

/** What may be deleted of what a schedule made: see Retention of the contract. 0: not set. */
export interface RetentionRule {
  readonly keepLast: number;
  readonly ttlMs?: number;
}

/** The rule of one schedule. */
export interface ScheduleRule extends RetentionRule {
  /**
   * ISO 8601, UTC: when the schedule was created. The rule covers nothing that was requested before: an earlier schedule of this name made it, and to
   * delete that is another right than to create a schedule.
   */
  readonly since: string;
}

export interface RetentionRules {
  /**
   * By name of schedule. What a schedule made that is not here, because it was deleted or could not be read, stays until a person deletes it:
   * nothing is ever deleted by a rule that nobody can see, nor by one of a later schedule of the name.
   */
  readonly schedules: ReadonlyMap<string, ScheduleRule>;
  /** For what people asked for, rounds that they triggered included; 0: it stays. */
  readonly retentionMs: number;
}

/** What may go, and why. */
export interface Expired {
  readonly captureId: string;
  readonly sequence: number;
  readonly reason: string;
  /** Only because of its age: so it hangs on the clock. */
  readonly byAge: boolean;
}

/**
 * Which evidence its rules give up, oldest first; pure. The newest `keepLast` complete images of each node and schedule stay whatever their age, so the
 * newest complete one is never among the expired when `keepLast` is set. Beyond them goes what is older than `ttlMs`; without a `ttlMs` all that
 * is older than the oldest that stays, once there are `keepLast`. What is not deletable stays, and counts among the newest. Newer is what was sealed later,
 * not what a clock says that ran ahead for a while.
 */
export function expired(records: readonly RetentionRecord[], rules: RetentionRules, nowMs: number): Expired[] {
  const groups = Map.groupBy(records, ({ schedule, nodeName }) => JSON.stringify([schedule, nodeName]));
  return [...groups.values()].flatMap((group) => expiredOf(group, rules, nowMs)).sort(bySequence);
}

function expiredOf(group: readonly RetentionRecord[], rules: RetentionRules, nowMs: number): Expired[] {
  const [first] = group;
  if (first === undefined) return [];
  const { schedule, nodeName } = first;
  const rule = schedule === '' ? { keepLast: 0, ttlMs: rules.retentionMs, since: '' } : rules.schedules.get(schedule);
  if (rule === undefined) return [];
  const { keepLast, ttlMs = 0, since } = rule;
  const covered = group.filter(({ requestedAt }) => requestedAt >= since);
  const newest =
    keepLast === 0
      ? []
      : covered
          .filter(({ complete }) => complete)
          .sort(bySequence)
          .slice(-keepLast);
  const kept = new Set(newest);
  const oldestKept = newest[0];
  return covered.flatMap((record): Expired[] => {
    if (!record.deletable || kept.has(record)) return [];
    const { captureId, sealedAt, sequence } = record;
    if (ttlMs > 0) {
      if (nowMs - Date.parse(sealedAt) <= ttlMs) return [];
      return [{ captureId, sequence, reason: `it is older than ${spanOf(ttlMs)}`, byAge: true }];
    }
    const beyond = oldestKept !== undefined && newest.length === keepLast && sequence < oldestKept.sequence;
    const reason = `it is beyond the newest ${keepLast} complete images of node ${nodeName} by schedule ${schedule}`;
    return beyond ? [{ captureId, sequence, reason, byAge: false }] : [];
  });
}

const bySequence = (a: { readonly sequence: number }, b: { readonly sequence: number }): number =>
  a.sequence - b.sequence;

const spans = [
  { unit: 'days', ms: 86_400_000 },
  { unit: 'hours', ms: 3_600_000 },
  { unit: 'minutes', ms: 60_000 },
  { unit: 'seconds', ms: 1_000 },
];

function spanOf(ms: number): string {
  const span = spans.find((each) => ms % each.ms === 0);
  return span === undefined ? `${ms} ms` : `${ms / span.ms} ${span.unit}`;
}
