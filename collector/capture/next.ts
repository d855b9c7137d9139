// Why it is done this way: docs/decisions/010-no-splicing.md

import type { AcquisitionEnd, Barren, CaptureState, Outcome } from './capture.ts';
import type { CaptureEvent } from './event.ts';

/** What an event makes of a state: a new state, or a refusal that names what does not fit. */
export type Step =
  | { readonly kind: 'moved'; readonly state: CaptureState }
  | { readonly kind: 'refused'; readonly reason: string };

const skipped = {
  kind: 'skipped',
  reason: 'no_image',
  detail: 'no memory was acquired, so there is nothing to analyse',
} as const;

/** An image has to grow by so much to be worth another stream: a quarter of an agent's chunk. */
const growthBytes = 64 << 10;
const mostBarrenReopens = 100;
const mostInterruptions = 256;

/** Why an acquisition is not opened once more: it is opened again and again and does not grow. Undefined when it may be. Growth is never limited. */
export function futility(state: CaptureState, durableBytes: number): string | undefined {
  if (state.phase !== 'acquiring') return undefined;
  const { reopens } = barrenAt(state, durableBytes);
  return reopens < mostBarrenReopens
    ? undefined
    : `the upload was opened ${reopens + 1} times without ${growthBytes} more bytes becoming durable`;
}

function barrenAt({ barren, interruptions }: CaptureState & { phase: 'acquiring' }, durableBytes: number): Barren {
  const { reopens, fromBytes } = barren ?? { reopens: 0, fromBytes: interruptions.at(-1)?.offsetBytes ?? 0 };
  return durableBytes - fromBytes >= growthBytes ? { reopens: 0, fromBytes: durableBytes } : { reopens, fromBytes };
}

const moved = (state: CaptureState): Step => ({ kind: 'moved', state });

/**
 * The state machine of a capture; pure. A terminal state refuses every event, and an event that does not belong to a state
 * is refused rather than bent to fit.
 */
export function next(state: CaptureState, event: CaptureEvent): Step {
  switch (state.phase) {
    case 'requested':
      return fromRequested(event);
    case 'acquiring':
      return fromAcquiring(state, event);
    case 'sealing': {
      const { start, interruptions } = state;
      if ((event.kind === 'sealed' || event.kind === 'lost') && isBetter(event, state.outcome)) {
        return { kind: 'refused', reason: 'an outcome never becomes better than it was judged' };
      }
      if (event.kind === 'sealed') {
        const { evidence, outcome, at: endedAt } = event;
        return moved({ phase: 'sealed', start, interruptions, evidence, outcome, endedAt });
      }
      if (event.kind === 'lost') {
        return moved({
          phase: 'done',
          outcome: event.outcome,
          endedAt: event.at,
          analysis: skipped,
          acquired: { start, interruptions },
        });
      }
      return refuse(state, event);
    }
    case 'sealed':
      if (event.kind === 'analysis_started') return moved({ ...state, phase: 'analyzing', begun: 1 });
      return afterSeal(state, event);
    case 'analyzing':
      // A collector that was killed starts the analysis of a sealed image anew.
      if (event.kind === 'analysis_started') return moved({ ...state, begun: (state.begun ?? 1) + 1 });
      return afterSeal(state, event);
    case 'done':
      return refuse(state, event);
  }
}

function fromRequested(event: CaptureEvent): Step {
  switch (event.kind) {
    case 'opened': {
      const { containers: _, ...start } = event.start;
      return moved({ phase: 'acquiring', epoch: 1, attempt: event.attempt, start, interruptions: [] });
    }
    case 'refused':
      return ended(event.at, { kind: 'failed', reason: 'preflight_refused', detail: event.detail });
    case 'expired':
      return ended(event.at, { kind: 'failed', reason: 'order_expired', detail: event.detail });
    case 'canceled':
      return ended(event.at, { kind: 'canceled', by: event.by });
    case 'broken':
      return ended(event.at, { kind: 'failed', reason: 'agent_restarted', detail: event.detail });
    case 'finished':
    case 'sealed':
    case 'lost':
    case 'analysis_started':
    case 'analysis_ended':
      return refuse({ phase: 'requested' }, event);
  }
}

function fromAcquiring(state: CaptureState & { phase: 'acquiring' }, event: CaptureEvent): Step {
  const { start, interruptions } = state;
  const sealing = (outcome: Outcome): Step =>
    moved({ phase: 'sealing', outcome, start, interruptions, end: undefined });
  switch (event.kind) {
    case 'opened': {
      if (event.start.acquisitionId !== start.acquisitionId) {
        return { kind: 'refused', reason: 'an image is never continued by another acquisition' };
      }
      if (event.attempt <= state.attempt)
        return { kind: 'refused', reason: `attempt ${event.attempt} is fenced by attempt ${state.attempt}` };
      const { reopens, fromBytes } = barrenAt(state, event.durableBytes);
      const interruption = { at: event.at, offsetBytes: event.durableBytes, cause: event.cause };
      return moved({
        ...state,
        attempt: event.attempt,
        epoch: state.epoch + 1,
        barren: { reopens: reopens + 1, fromBytes },
        interruptions:
          event.moved === true ? interruptions : [...interruptions, interruption].slice(-mostInterruptions),
      });
    }
    case 'finished':
      return moved({
        phase: 'sealing',
        start,
        interruptions,
        end: event.end,
        outcome: judge(event.end, event.durableBytes),
      });
    case 'broken':
      if (event.reason === 'integrity_conflict')
        return sealing({ kind: 'failed', reason: 'integrity_conflict', detail: event.detail });
      return sealing({ kind: 'partial', reason: event.reason, detail: event.detail });
    case 'canceled':
      return sealing({ kind: 'canceled', by: event.by });
    case 'refused':
    case 'expired':
    case 'sealed':
    case 'lost':
    case 'analysis_started':
    case 'analysis_ended':
      return refuse(state, event);
  }
}

function afterSeal(state: CaptureState & { phase: 'sealed' | 'analyzing' }, event: CaptureEvent): Step {
  if (event.kind !== 'analysis_ended') return refuse(state, event);
  const { start, interruptions, evidence, outcome, endedAt } = state;
  return moved({
    phase: 'done',
    outcome,
    endedAt,
    evidence,
    analysis: event.ending,
    acquired: { start, interruptions },
  });
}

/** Sealing may find less than was judged, never more; and without an image nothing is complete. */
function isBetter(event: CaptureEvent & { kind: 'sealed' | 'lost' }, judged: Outcome): boolean {
  return event.outcome.kind === 'complete' && (event.kind === 'lost' || judged.kind !== 'complete');
}

/** The outcome that the agent's report and the durable bytes allow; sealing may still find the stored image to be worse. */
function judge(end: AcquisitionEnd, durableBytes: number): Outcome {
  if (end.canceled) return { kind: 'canceled', by: 'an order of the collector' };
  const stderr = end.stderrTail.trim();
  if (end.signal !== '') {
    return {
      kind: 'partial',
      reason: 'acquirer_died',
      detail: `AVML was ended by ${end.signal} after ${durableBytes} bytes${stderr === '' ? '' : `: ${stderr}`}`,
    };
  }
  if (end.exitCode !== 0) {
    const detail = `AVML ended with exit code ${end.exitCode} after ${durableBytes} bytes: ${stderr === '' ? 'it said nothing' : stderr}`;
    return durableBytes === 0
      ? { kind: 'failed', reason: 'acquirer_failed', detail }
      : { kind: 'partial', reason: 'acquirer_failed', detail };
  }
  if (end.bytes !== durableBytes) {
    return {
      kind: 'partial',
      reason: 'bytes_missing',
      detail: `the agent read ${end.bytes} bytes, ${durableBytes} of them are stored`,
    };
  }
  if (durableBytes === 0) {
    return { kind: 'failed', reason: 'acquirer_failed', detail: 'AVML ended without an error and without a byte' };
  }
  return { kind: 'complete' };
}

function ended(at: string, outcome: Outcome): Step {
  return moved({ phase: 'done', outcome, endedAt: at, analysis: skipped });
}

function refuse(state: CaptureState, event: CaptureEvent): Step {
  return { kind: 'refused', reason: `${event.kind} does not belong to a capture that is ${state.phase}` };
}
