import type { Acquisitions } from '../ingest/acquisitions.ts';
import type { CaptureJournal } from '../journal/capture-journal.ts';
import type { CaptureSlots } from './capture-slots.ts';

/** How long a capture may stand still. */
export interface StallLimits {
  /** Without durable progress while acquiring. */
  readonly stallMs: number;
  /** From the request until the agent opens its upload. */
  readonly orderMs: number;
}

/** What the watchdog works with. */
export interface WatchdogDeps {
  readonly journal: CaptureJournal;
  readonly acquisitions: Acquisitions;
  readonly timeouts: StallLimits;
  /** While a capture waits for its turn, it has not been ordered, and its time does not run. */
  readonly slots: Pick<CaptureSlots, 'waits' | 'give'>;
  readonly report: (error: unknown) => void;
}

const everyMs = 2_000;

/**
 * Ends captures that stand still and finishes sealings that a full disk or a crash left undone. Reads a whole capture once. Counts by the monotonic clock, from
 * the start of the collector or the last durable progress, whichever is later. Returns the function that stops it.
 */
export function startWatchdog({ journal, acquisitions, timeouts, slots, report }: WatchdogDeps): () => void {
  const startedMs = performance.now();
  const firstSeenMs = new Map<string, number>();
  let isStopped = false;

  const look = async (): Promise<void> => {
    const open = journal.unsealed();
    for (const captureId of firstSeenMs.keys()) {
      if (!open.some(({ id }) => id === captureId)) firstSeenMs.delete(captureId);
    }
    for (const capture of open) await lookAt(capture).catch(report);
    // One that was set aside has left its slot without a word.
    if (!isStopped) slots.give();
  };

  const lookAt = async ({ id, nodeName, phase }: ReturnType<CaptureJournal['unsealed']>[number]): Promise<void> => {
    // Once: the journal sets it aside if it cannot be read, and whatever is done about it begins with that.
    if (!firstSeenMs.has(id)) journal.get(id);
    const seenMs = firstSeenMs.get(id) ?? performance.now();
    firstSeenMs.set(id, phase === 'requested' && slots.waits(id) ? performance.now() : seenMs);
    if (phase === 'sealing') {
      await acquisitions.sealUp(id);
    } else if (phase === 'requested' && performance.now() - seenMs > timeouts.orderMs) {
      const detail = `the agent of node ${nodeName} did not take up the order within ${timeouts.orderMs / 1000} s`;
      journal.apply(id, { kind: 'expired', at: new Date().toISOString(), detail }, 'collector');
    } else if (phase === 'acquiring') {
      const live = acquisitions.live(id);
      const sinceMs = performance.now() - (live?.lastProgressMs ?? startedMs);
      if (sinceMs <= timeouts.stallMs) return;
      const lastError = live?.lastError === undefined ? '' : `; ${live.lastError}`;
      const detail = `no byte became durable for ${Math.round(sinceMs / 1000)} s${lastError}`;
      await acquisitions.conclude(
        id,
        { kind: 'broken', at: new Date().toISOString(), reason: 'network_stall', detail },
        'collector',
      );
    }
  };

  const timer = setInterval(() => void look().catch(report), everyMs);
  timer.unref();
  return () => {
    isStopped = true;
    clearInterval(timer);
  };
}
