import { Fault } from '@kcorder/proto/fault.ts';
import type { DueRun, Run, RunChange } from '../journal/run-journal.ts';
import type { StoredSchedule } from '../journal/schedule-journal.ts';
import type { ClockWatch } from './clock.ts';
import { keyOf, requesterOf, type SchedulerDeps } from './deps.ts';
import { endOf } from './following.ts';
import { type Ending, judge, type Situation, type Verdict } from './planner.ts';
import type { Roster } from './roster.ts';

const pageSize = 50;
const againMs = 30_000;
const longestAgainMs = 8 * 60_000;
/** Runs that did not come to a capture are tried again no oftener: on a disk that is full there may be a thousand. */
const retries = { most: 10, everyMs: 10_000 };

interface LastError {
  readonly reason: string;
  readonly detail: string;
  readonly untilMs: number;
  readonly againMs: number;
}

/** Makes captures of runs whose moment has come, or says why there is none. */
export class Starting {
  readonly #deps: SchedulerDeps;
  readonly #roster: Roster;
  readonly #watch: ClockWatch;
  readonly #wake: () => void;
  /** Runs whose capture is being made. */
  readonly #starting = new Map<string, Run>();
  readonly #lastErrors = new Map<string, LastError>();
  /** Up to here every run that came due was judged once, whether or not there was a turn. */
  #judgedThrough = '';
  #retried = { sinceMs: 0, count: 0 };
  /** A capture may have been made whose run does not know of it. */
  #lost = true;

  constructor(deps: SchedulerDeps, roster: Roster, watch: ClockWatch, wake: () => void) {
    this.#deps = deps;
    this.#roster = roster;
    this.#watch = watch;
    this.#wake = wake;
  }

  /** Sees to what is due. Throws storage_failed. */
  look(nowMs: number): void {
    const { runs } = this.#deps;
    if (this.#lost) this.#link();
    const now = new Date(nowMs).toISOString();
    this.#expire(now, nowMs);
    const room = {
      free: this.#deps.free() - this.#starting.size,
      running: this.#running(),
      busy: this.#deps.captures.running(),
    };
    // Those that wait already, as long as there are turns; then the new ones, each of them, since some are not wanted at all.
    let last: Pick<DueRun, 'dueAt' | 'row'> | undefined;
    let page: DueRun[];
    do {
      if (room.free <= 0 && (last?.dueAt ?? '') < this.#judgedThrough) last = { ...nobody, dueAt: this.#judgedThrough };
      page = runs.due(now, pageSize, last);
      this.#judgePage(page, nowMs, room);
      last = page.at(-1);
    } while (page.length === pageSize);
    this.#judgedThrough = now;
  }

  /** What waits is not wanted any more. What is being begun just now goes on. */
  drop(schedule: string, ending: Ending, which: (run: Run) => boolean = () => true): void {
    const dropped = this.#deps.runs.waiting(schedule).filter((run) => which(run) && !this.#starting.has(nameOf(run)));
    this.#end(dropped.map((run) => [run, ending]));
  }

  /** A capture has ended somewhere: what stood in the way may be gone. */
  retry(): void {
    for (const [name, lastError] of this.#lastErrors) this.#lastErrors.set(name, { ...lastError, untilMs: 0 });
  }

  /** Moments at which there may be something to do. */
  nextMs(nowMs: number): number[] {
    const { dueAt, deadlineAt } = this.#deps.runs.nextMoments(new Date(nowMs).toISOString());
    const moments = [dueAt, deadlineAt].filter((at) => at !== undefined).map((at) => Date.parse(at));
    const retryMs = this.#retried.sinceMs + retries.everyMs;
    return [...moments, ...[...this.#lastErrors.values()].map(({ untilMs }) => Math.max(untilMs, retryMs))];
  }

  #mayRetry(nowMs: number): boolean {
    const sinceMs = Math.floor(nowMs / retries.everyMs) * retries.everyMs;
    if (this.#retried.sinceMs !== sinceMs) this.#retried = { sinceMs, count: 0 };
    this.#retried.count += 1;
    return this.#retried.count <= retries.most;
  }

  #expire(now: string, nowMs: number): void {
    while (true) {
      const page = this.#deps.runs.expired(now, 1_000);
      const busy = this.#deps.captures.running();
      const free = this.#deps.free();
      const changes = page
        .filter((run) => !this.#starting.has(nameOf(run)))
        .flatMap((run) => {
          const late = this.#watch.missed(Date.parse(run.deadlineAt));
          const verdict = this.#verdict(run, { nowMs, free, running: 0, overlaps: false, busy, late });
          return verdict.kind === 'end' ? [[run, verdict.ending] as const] : [];
        });
      this.#end(changes);
      if (page.length < 1_000 || changes.length === 0) return;
    }
  }

  #judgePage(
    page: readonly DueRun[],
    nowMs: number,
    room: { free: number; readonly running: Map<string, number>; readonly busy: Map<string, string> },
  ): void {
    const ended: (readonly [Run, RunChange])[] = [];
    for (const run of page) {
      const schedule = this.#roster.get(run.schedule);
      if (this.#starting.has(nameOf(run))) continue;
      const running = room.running.get(run.schedule) ?? 0;
      const verdict = this.#verdict(run, { nowMs, ...room, running, overlaps: run.overlaps });
      if (verdict.kind === 'end') ended.push([run, verdict.ending]);
      if (verdict.kind !== 'start' || schedule === undefined) continue;
      if (this.#lastErrors.has(nameOf(run)) && !this.#mayRetry(nowMs)) continue;
      room.free -= 1;
      room.running.set(run.schedule, running + 1);
      // Whoever else is due there finds the node taken.
      const { uid } = this.#deps.nodes.state(run);
      if (uid !== undefined) room.busy.set(uid, '');
      this.#start(run, schedule);
    }
    this.#end(ended);
  }

  #verdict(
    run: Run,
    now: Pick<Situation, 'nowMs' | 'free' | 'running' | 'overlaps' | 'late'> & { busy: Map<string, string> },
  ): Verdict {
    const schedule = this.#roster.get(run.schedule);
    if (schedule === undefined) return { kind: 'end', ending: deleted };
    const { busy, ...rest } = now;
    const { uid, ...node } = this.#deps.nodes.state(run);
    const captureId = uid === undefined ? undefined : busy.get(uid);
    const lastError = this.#lastErrors.get(nameOf(run));
    return judge(run, schedule, { ...rest, approval: this.#deps.approval, node: { ...node, captureId }, lastError });
  }

  #running(): Map<string, number> {
    const running = this.#deps.runs.running();
    for (const { schedule } of this.#starting.values()) running.set(schedule, (running.get(schedule) ?? 0) + 1);
    return running;
  }

  #start(run: Run, schedule: StoredSchedule): void {
    const name = nameOf(run);
    this.#starting.set(name, run);
    void this.#deps
      .capture(run, schedule)
      .then((captureId) => this.#started(run, captureId))
      .catch((error: unknown) => this.#notStarted(run, error))
      .finally(() => {
        this.#starting.delete(name);
        this.#wake();
      });
  }

  #started(run: Run, captureId: string): void {
    this.#lastErrors.delete(nameOf(run));
    const end = endOf(this.#deps.captures.find(captureId));
    this.#deps.runs.change([[run, { state: 'running', ...end, captureId }]]);
    if (end !== undefined) this.#deps.events.runEnded({ ...run, reason: '', detail: '', ...end });
  }

  #notStarted(run: Run, error: unknown): void {
    const fault = Fault.from(error);
    switch (fault.code) {
      case 'node_busy':
      case 'node_offline':
      case 'node_unknown':
        // It waits for that to change.
        return;
      case 'preflight_refused':
        this.#endAlone(run, { state: 'skipped', reason: 'not_capturable', detail: fault.message });
        return;
      case 'approval_required':
        this.#endAlone(run, { state: 'skipped', reason: 'approval_required', detail: fault.message });
        return;
      default: {
        // Room may come in time.
        const before = this.#lastErrors.get(nameOf(run));
        const waitMs = Math.min(longestAgainMs, before === undefined ? againMs : before.againMs * 2);
        const untilMs = this.#deps.clock.wall().getTime() + waitMs;
        const lastError = { reason: fault.code, detail: fault.message, untilMs, againMs: waitMs };
        this.#lastErrors.set(nameOf(run), lastError);
        if (fault.code === 'disk_too_small' || fault.code === 'quota_exceeded') return;
        this.#lost = true;
        this.#deps.events.failed(`the run of schedule ${run.schedule} on node ${run.nodeName} could not begin`, error);
      }
    }
  }

  #endAlone(run: Run, change: RunChange): void {
    try {
      this.#end([[run, change]]);
    } catch (error) {
      this.#deps.events.failed(`a run of schedule ${run.schedule} could not be ended`, error);
    }
  }

  #end(changes: readonly (readonly [Run, RunChange])[]): void {
    if (changes.length === 0) return;
    this.#deps.runs.change(changes);
    for (const [run, change] of changes) {
      this.#lastErrors.delete(nameOf(run));
      this.#deps.events.runEnded({ ...run, reason: '', detail: '', ...change });
    }
  }

  /** A collector that was killed, or a disk that was full, between a capture and its run. */
  #link(): void {
    for (const run of this.#deps.runs.waiting()) {
      const capture = this.#deps.captures.findByKey(requesterOf(run.schedule), keyOf(run));
      if (capture !== undefined) this.#started(run, capture.request.id);
    }
    this.#lost = false;
  }
}

/** What a schedule that was deleted leaves waiting. */
export const deleted = { state: 'skipped', reason: 'deleted', detail: 'its schedule was deleted' } as const;

/** Comes after all that came due at the same moment. */
const nobody = { row: Number.MAX_SAFE_INTEGER };

const nameOf = ({ schedule, tick, nodeUid }: Run): string => `${schedule} ${tick} ${nodeUid}`;
