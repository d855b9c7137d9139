import type { StoredSchedule } from '../journal/schedule-journal.ts';
import { ClockWatch } from './clock.ts';
import type { SchedulerDeps } from './deps.ts';
import { Following } from './following.ts';
import { Planning } from './planning.ts';
import { Roster } from './roster.ts';
import { Starting } from './starting.ts';

/** The wall's clock may be set at any time, and tells nobody. */
const clockMs = 10_000;
/** Nothing that matters stays unseen for longer, even if nobody told of it. */
const lookMs = 60_000;
const retryMs = 5_000;
const attachedMs = 500;
const pruneMs = 3_600_000;
const keptMs = 30 * 24 * 3_600_000;
const prunedAtOnce = 2_000;

/**
 * Drives the schedules: ticks become runs, runs become captures. Everything is on disk before it is acted upon, so it may be killed anywhere. It sleeps until the
 * next moment that matters, or until something happens.
 */
export class Scheduler {
  readonly roster: Roster;
  readonly planning: Planning;
  readonly starting: Starting;
  readonly #deps: SchedulerDeps;
  readonly #following: Following;
  readonly #watch: ClockWatch;
  readonly #stopWatching: () => void;
  #stopTimer: (() => void) | undefined;
  /** By the monotonic clock: when the timer fires. */
  #timerMs = Number.POSITIVE_INFINITY;
  /** Something has happened. */
  #woken = false;
  /** By the wall's clock: when there is something to do, as far as is known. */
  #momentMs = 0;
  #prunedMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  /** Begins at once. */
  constructor(given: SchedulerDeps) {
    // What was begun may end after all is closed, the database too: it is taken up at the next start.
    const failed: SchedulerDeps['events']['failed'] = (what, error) => {
      if (!this.#closed) given.events.failed(what, error);
    };
    const deps = { ...given, events: { ...given.events, failed } };
    this.#deps = deps;
    this.roster = new Roster(deps.schedules, (name, error) => {
      const what = `schedule ${name} has no runs: this version does not know its pattern or time zone. Delete it, and create it again`;
      failed(what, error);
    });
    this.#watch = new ClockWatch(deps.clock);
    const wake = () => this.wake();
    this.planning = new Planning(deps, this.roster, this.#watch, wake);
    this.starting = new Starting(deps, this.roster, this.#watch, wake);
    this.#following = new Following(deps);
    this.#stopWatching = deps.captures.watch(({ capture: read, event }) => {
      if (event === undefined) return;
      const capture = read();
      this.#following.note(capture);
      const { phase } = capture.state;
      // A turn is free once no more bytes come; what the analysis does is nothing to wait for.
      if (phase === 'requested' || phase === 'acquiring' || event.kind.startsWith('analysis_')) return;
      this.starting.retry();
      this.wake();
    });
    this.wake();
  }

  /** Something has changed: looks at once. */
  wake(): void {
    this.#sleep(0);
  }

  /** An agent has attached. A fleet that comes back does so in thousands. */
  agentAttached(): void {
    this.#sleep(attachedMs);
  }

  /** What has come up to now is on record when it returns; undefined for a schedule that is not there. */
  settle(name: string): StoredSchedule | undefined {
    return this.planning.settle(name, this.#deps.clock.wall().getTime());
  }

  close(): void {
    this.#closed = true;
    this.#stopTimer?.();
    this.#stopWatching();
  }

  #sleep(ms: number, toBeLookedAt = true): void {
    if (this.#closed) return;
    this.#woken ||= toBeLookedAt;
    const atMs = this.#deps.clock.monotonicMs() + ms;
    if (atMs >= this.#timerMs) return;
    this.#stopTimer?.();
    this.#timerMs = atMs;
    this.#stopTimer = this.#deps.clock.setTimer(ms, () => this.#timerFired());
  }

  #timerFired(): void {
    this.#timerMs = Number.POSITIVE_INFINITY;
    if (this.#closed) return;
    try {
      const { nowMs, jumpedMs } = this.#watch.look();
      if (jumpedMs !== 0) this.#deps.events.clockJumped(jumpedMs);
      const nothing = !this.#woken && jumpedMs === 0 && nowMs < this.#momentMs;
      if (!nothing) this.#look(nowMs);
      this.#sleep(Math.min(clockMs, Math.max(0, this.#momentMs - nowMs)), false);
    } catch (error) {
      this.#deps.events.failed('the schedules could not be seen to', error);
      this.#sleep(retryMs);
    }
  }

  #look(nowMs: number): void {
    this.#woken = false;
    this.#following.look();
    this.planning.look(nowMs);
    this.starting.look(nowMs);
    this.#prune(nowMs);
    // What should have come by now is being done, and wakes when it is.
    const moments = [this.planning.nextMs() ?? Number.POSITIVE_INFINITY, ...this.starting.nextMs(nowMs)];
    this.#momentMs = Math.min(nowMs + lookMs, ...moments.filter((at) => at > nowMs));
  }

  #prune(nowMs: number): void {
    const { clock, runs } = this.#deps;
    if (clock.monotonicMs() - this.#prunedMs < pruneMs) return;
    const pruned = runs.prune(new Date(nowMs - keptMs).toISOString(), prunedAtOnce);
    // The rest at the next look.
    if (pruned < prunedAtOnce) this.#prunedMs = clock.monotonicMs();
  }
}
