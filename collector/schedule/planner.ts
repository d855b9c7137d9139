// Why it is done this way: docs/decisions/022-runs-are-records.md

import { createHash } from 'node:crypto';
import type { Run, RunState } from '../journal/run-journal.ts';
import type { ScheduleSpec, StoredSchedule } from '../journal/schedule-journal.ts';
import { nextTick, type Timing } from './ticks.ts';

// The rules, as pure functions: no clock, no disk. Times are in ms since 1970.

/** A node that a schedule is for. */
export interface ScheduledNode {
  readonly name: string;
  /** "name/…" while no agent of it has ever told one. */
  readonly uid: string;
}

/** Why nobody was there to see to something in time. */
export type LateReason = 'collector_down' | 'clock_jumped';

/** An ending of a run that has no capture. */
export interface Ending {
  readonly state: RunState & ('skipped' | 'missed');
  readonly reason: string;
  readonly detail: string;
}

const shortestDeadlineMs = 10_000;
const longestUsualDeadlineMs = 3_600_000;

/** How long after its moment a run of a tick may still begin. */
function startingDeadlineMs(spec: ScheduleSpec, tickMs: number): number {
  return spec.startingDeadlineMs ?? usualDeadlineMs(spec, tickMs);
}

function usualDeadlineMs(timing: Timing, tickMs: number): number {
  const next = nextTick(timing, tickMs);
  const half = next === undefined ? longestUsualDeadlineMs : (next - tickMs) / 2;
  return Math.min(longestUsualDeadlineMs, Math.max(shortestDeadlineMs, half));
}

/** When a tick is over on every node, whether or not it was seen to. */
export const overAtMs = (spec: ScheduleSpec, tickMs: number): number =>
  tickMs + spec.jitterMs + startingDeadlineMs(spec, tickMs);

/** How much after a tick a node's run begins: at least 0, less than the jitter, and the same each time, so that a node's intervals are even. */
function offsetMs(schedule: string, nodeUid: string, jitterMs: number): number {
  if (jitterMs === 0) return 0;
  const digest = createHash('sha256').update(`${schedule}\0${nodeUid}`).digest();
  return Math.floor((digest.readUIntBE(0, 6) / 2 ** 48) * jitterMs);
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** One record for a tick, or for several of which this is the last, that never came to single nodes. */
export function recordOf(schedule: string, tickMs: number, ticks: number, { state, reason, detail }: Ending): Run {
  const tick = iso(tickMs);
  const whole = { nodeUid: '', nodeName: '', triggered: false, triggerKey: '', captureId: '' };
  return { schedule, tick, ...whole, dueAt: tick, deadlineAt: tick, state, reason, detail, ticks };
}

/** The runs of a tick, one for each node. */
export function runsOf(
  spec: ScheduleSpec,
  tickMs: number,
  nodes: readonly ScheduledNode[],
  /** Of a round by hand, which begins at once: now is what it is for. */
  triggerKey?: string,
): Run[] {
  const triggered = triggerKey !== undefined;
  if (nodes.length === 0) {
    const record = recordOf(spec.name, tickMs, 1, noNodes);
    return [{ ...record, triggered, triggerKey: triggerKey ?? '' }];
  }
  const patienceMs = startingDeadlineMs(spec, tickMs);
  return nodes.map(({ name, uid }) => {
    const dueMs = tickMs + (triggered ? 0 : offsetMs(spec.name, uid, spec.jitterMs));
    return {
      schedule: spec.name,
      tick: iso(tickMs),
      nodeUid: uid,
      nodeName: name,
      triggered,
      triggerKey: triggerKey ?? '',
      dueAt: iso(dueMs),
      deadlineAt: iso(dueMs + patienceMs),
      state: 'waiting',
      reason: '',
      detail: '',
      captureId: '',
      ticks: 1,
    };
  });
}

const noNodes: Ending = {
  state: 'missed',
  reason: 'no_nodes',
  detail: 'no node fits the target: see to the labels and names of nodes and pods',
};

/** What is known of a node when its run's time has come. */
export interface NodeState {
  readonly attached: boolean;
  /** What stands in the way of a capture, in the agent's words. */
  readonly refusals: readonly string[];
  /** Conditions of the node that say that it is short of something. */
  readonly pressure: readonly string[];
  /** The capture that runs there. */
  readonly captureId?: string | undefined;
}

/** All that a run's next step depends on. */
export interface Situation {
  readonly nowMs: number;
  /** An earlier run of the schedule waits or runs on the node. */
  readonly overlaps: boolean;
  readonly node: NodeState;
  /** Captures that may still be begun in the whole cluster. */
  readonly free: number;
  /** Runs of this schedule that run. */
  readonly running: number;
  /** Whether each capture needs a second person. */
  readonly approval: boolean;
  /** Set when the deadline passed while nobody could see to it. */
  readonly late?: LateReason | undefined;
  /** Why the last attempt did not come to a capture. */
  readonly lastError?: { readonly reason: string; readonly detail: string; readonly untilMs: number } | undefined;
}

/** What is to be done with a run. */
export type Verdict =
  | { readonly kind: 'start' }
  | { readonly kind: 'wait' }
  | { readonly kind: 'end'; readonly ending: Ending };

/** What becomes of a waiting run whose moment has come. */
export function judge(run: Run, schedule: StoredSchedule, now: Situation): Verdict {
  const { spec, configured } = schedule;
  const { node, lastError } = now;
  if (now.overlaps) return skipped('overlap', 'an earlier run of this schedule on this node still waits or runs');
  // Whoever may write the configuration has approved its times, not those that somebody chooses.
  if (now.approval && (!configured || run.triggered))
    return skipped(
      'approval_required',
      'each capture needs a second person here, so only schedules of the configuration run, and only by the clock',
    );
  if (now.nowMs >= Date.parse(run.deadlineAt)) return { kind: 'end', ending: overdue(run, spec, now) };
  if (node.pressure.length > 0 && !spec.ignorePressure)
    return skipped('node_pressure', `the node is under pressure: ${node.pressure.join(', ')}`);
  if (!node.attached) return { kind: 'wait' };
  if (node.refusals.length > 0) return skipped('not_capturable', node.refusals.join('; '));
  if (node.captureId !== undefined || now.free <= 0) return { kind: 'wait' };
  if (spec.maxConcurrent > 0 && now.running >= spec.maxConcurrent) return { kind: 'wait' };
  if (lastError !== undefined && lastError.untilMs > now.nowMs) return { kind: 'wait' };
  return { kind: 'start' };
}

const skipped = (reason: string, detail: string): Verdict => ({
  kind: 'end',
  ending: { state: 'skipped', reason, detail },
});

function overdue({ nodeName }: Run, spec: ScheduleSpec, { node, late, lastError, free }: Situation): Ending {
  const missed = (reason: string, detail: string): Ending => ({ state: 'missed', reason, detail });
  if (late !== undefined) return missed(late, lateDetail[late]);
  if (!node.attached) return missed('node_offline', `no agent of node ${nodeName} was attached up to its deadline`);
  if (node.captureId !== undefined)
    return missed('node_busy', `another capture (${node.captureId}) ran on node ${nodeName} up to its deadline`);
  if (lastError !== undefined) return missed(lastError.reason, lastError.detail);
  const others =
    free <= 0
      ? 'as many captures ran as the collector allows'
      : `as many ran as the schedule allows (${spec.maxConcurrent})`;
  return missed('deadline', `its turn did not come up to its deadline: ${others}`);
}

export const lateDetail: Record<LateReason, string> = {
  collector_down: 'no collector was up when it was time',
  clock_jumped: "the collector's clock jumped over its time",
};
