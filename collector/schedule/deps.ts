import type { CaptureJournal } from '../journal/capture-journal.ts';
import type { Run, RunJournal } from '../journal/run-journal.ts';
import type { ScheduleJournal, ScheduleSpec, ScheduleTarget, StoredSchedule } from '../journal/schedule-journal.ts';
import type { Clock } from './clock.ts';
import type { NodeState, ScheduledNode } from './planner.ts';

/** The nodes, as a schedule sees them. */
export interface ScheduledNodes {
  /** The nodes that fit now, attached or not; none when none does. Throws cluster_unavailable, unimplemented. */
  select(target: ScheduleTarget): Promise<ScheduledNode[]>;
  /** How a run's node stands; `uid` is that of the agent that is attached. */
  state(run: Pick<Run, 'nodeUid' | 'nodeName'>): Omit<NodeState, 'captureId'> & { readonly uid?: string };
}

/** What is told of schedules. */
export interface ScheduleEvents {
  /** A run came to its end; also one that never came to a node. It may stand for several ticks. */
  runEnded(run: Pick<Run, 'schedule' | 'tick' | 'nodeName' | 'state' | 'reason' | 'detail' | 'ticks'>): void;
  /** Something could not be done; it is tried again by itself. */
  failed(what: string, error: unknown): void;
  /** The wall's clock was set, forward or, when it is negative, back. */
  clockJumped(ms: number): void;
}

/** All that the scheduler works with. */
export interface SchedulerDeps {
  readonly clock: Clock;
  readonly schedules: ScheduleJournal;
  readonly runs: RunJournal;
  readonly captures: Pick<CaptureJournal, 'watch' | 'find' | 'findByKey' | 'running'>;
  readonly nodes: ScheduledNodes;
  /** Captures that may be begun now in the whole cluster. */
  readonly free: () => number;
  /** Makes the capture of a run, or finds it when it was made before; gives its id. Throws what Captures.create throws. */
  readonly capture: (run: Run, schedule: StoredSchedule) => Promise<string>;
  /** Whether each capture needs a second person. */
  readonly approval: boolean;
  readonly events: ScheduleEvents;
}

/** Who asks for a schedule's captures. */
export const requesterOf = (schedule: string): string => `schedule/${schedule}`;

/** Under which key a run's capture is made: a collector that was killed between the two finds it again. */
export const keyOf = ({ tick, nodeUid }: Pick<Run, 'tick' | 'nodeUid'>): string => `${tick}/${nodeUid}`;

export const reasonOf = ({ reason, name }: ScheduleSpec): string => (reason === '' ? `schedule ${name}` : reason);
