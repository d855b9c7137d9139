import type { Capture } from '../capture/capture.ts';
import type { RunChange } from '../journal/run-journal.ts';
import type { SchedulerDeps } from './deps.ts';

/** Ends runs with their captures. */
export class Following {
  readonly #deps: SchedulerDeps;
  /** A run may not know of its capture's end. */
  #behind = true;

  constructor(deps: SchedulerDeps) {
    this.#deps = deps;
  }

  /** Ends the runs whose captures ended while nobody followed them. Throws storage_failed. */
  look(): void {
    if (!this.#behind) return;
    for (const { captureId } of this.#deps.runs.overdue()) {
      const capture = this.#deps.captures.find(captureId);
      if (capture !== undefined) this.#end(capture);
    }
    this.#behind = false;
  }

  /** A capture has moved on. */
  note(capture: Capture): void {
    if (capture.request.schedule === undefined) return;
    try {
      this.#end(capture);
    } catch (error) {
      // It is called by whoever changed the capture: that went well.
      this.#behind = true;
      this.#deps.events.failed(`the run of capture ${capture.request.id} could not be ended`, error);
    }
  }

  #end(capture: Capture): void {
    const end = endOf(capture);
    if (end === undefined) return;
    const run = this.#deps.runs.ofCapture(capture.request.id);
    if (run?.state !== 'running') return;
    this.#deps.runs.change([[run, { ...end, captureId: run.captureId }]]);
    this.#deps.events.runEnded({ ...run, reason: '', detail: '', ...end });
  }
}

/** How a run ends with its capture; undefined while bytes may still come. That an analysis goes on does not keep the next run waiting. */
export function endOf(capture: Capture | undefined): (RunChange & { state: 'succeeded' | 'failed' }) | undefined {
  if (capture === undefined || !('endedAt' in capture.state)) return undefined;
  const { outcome } = capture.state;
  switch (outcome.kind) {
    case 'complete':
      return { state: 'succeeded' };
    case 'partial':
    case 'failed':
      return { state: 'failed', reason: outcome.reason, detail: outcome.detail };
    case 'canceled':
      return { state: 'failed', reason: 'canceled', detail: `${outcome.by} has canceled the capture` };
  }
}
