import { describe, expect, test } from 'vitest';
import { at, complete, end, events, evidence, kept, partial, start, states } from '../testing/states.ts';
import type { CaptureState } from './capture.ts';
import type { CaptureEvent } from './event.ts';
import { next } from './next.ts';

type Phase = CaptureState['phase'];
type Kind = CaptureEvent['kind'];

interface Row {
  readonly sentence: string;
  readonly from: CaptureState;
  readonly event: CaptureEvent;
  readonly to: object;
}

const { requested, acquiring, sealing, sealed, analyzing } = states;
const sealingPartial: CaptureState = { ...sealing, outcome: partial };

const rows: Row[] = [
  {
    sentence: 'a requested capture that its agent refuses has failed',
    from: requested,
    event: events.refused,
    to: {
      phase: 'done',
      outcome: { kind: 'failed', reason: 'preflight_refused', detail: 'kcore is masked' },
      endedAt: at,
    },
  },
  {
    sentence: 'a requested capture that nobody takes up has failed',
    from: requested,
    event: events.expired,
    to: {
      phase: 'done',
      outcome: { kind: 'failed', reason: 'order_expired' },
      analysis: { kind: 'skipped', reason: 'no_image' },
    },
  },
  {
    sentence: 'a requested capture that is canceled is done',
    from: requested,
    event: events.canceled,
    to: { phase: 'done', outcome: { kind: 'canceled', by: 'operator/alice' } },
  },
  {
    sentence: 'a requested capture whose agent dies has failed, since there is nothing partial',
    from: requested,
    event: events.broken,
    to: { phase: 'done', outcome: { kind: 'failed', reason: 'agent_restarted' } },
  },
  {
    sentence: 'the first upload starts the acquisition, in epoch 1 and without an interruption',
    from: requested,
    event: events.opened,
    to: { phase: 'acquiring', epoch: 1, attempt: 3, start: kept, interruptions: [] },
  },
  {
    sentence: 'a later attempt goes on in the next epoch, and the interruption is noted with its offset',
    from: acquiring,
    event: events.opened,
    to: {
      phase: 'acquiring',
      epoch: 3,
      attempt: 3,
      interruptions: [acquiring.interruptions[0], { at, offsetBytes: 50, cause: 'the connection broke' }],
    },
  },
  {
    sentence: 'AVML that ended well with every byte stored is judged complete',
    from: acquiring,
    event: events.finished,
    to: { phase: 'sealing', outcome: complete, end, interruptions: acquiring.interruptions },
  },
  {
    sentence: 'AVML that ended well with a byte missing is judged partial',
    from: acquiring,
    event: { ...events.finished, durableBytes: 99 },
    to: { phase: 'sealing', outcome: { kind: 'partial', reason: 'bytes_missing' } },
  },
  {
    sentence: 'AVML with an exit code is judged partial, and the code and its last words are told',
    from: acquiring,
    event: { ...events.finished, end: { ...end, exitCode: 1, stderrTail: 'oh\n' } },
    to: {
      phase: 'sealing',
      outcome: {
        kind: 'partial',
        reason: 'acquirer_failed',
        detail: 'AVML ended with exit code 1 after 100 bytes: oh',
      },
    },
  },
  {
    sentence: 'AVML that was killed is judged partial, whatever its exit code is',
    from: acquiring,
    event: { ...events.finished, end: { ...end, signal: 'SIGKILL' } },
    to: { phase: 'sealing', outcome: { kind: 'partial', reason: 'acquirer_died' } },
  },
  {
    sentence: 'AVML that failed before its first byte has failed',
    from: acquiring,
    event: { ...events.finished, durableBytes: 0, end: { ...end, bytes: 0, exitCode: 1 } },
    to: { phase: 'sealing', outcome: { kind: 'failed', reason: 'acquirer_failed' } },
  },
  {
    sentence: 'AVML that ended well without a byte has failed: nothing is never complete',
    from: acquiring,
    event: { ...events.finished, durableBytes: 0, end: { ...end, bytes: 0 } },
    to: { phase: 'sealing', outcome: { kind: 'failed', reason: 'acquirer_failed' } },
  },
  {
    sentence: 'an acquisition that was stopped by an order is judged canceled',
    from: acquiring,
    event: { ...events.finished, end: { ...end, canceled: true, signal: 'SIGKILL' } },
    to: { phase: 'sealing', outcome: { kind: 'canceled' } },
  },
  {
    sentence: 'an acquisition that breaks is judged partial, with the reason',
    from: acquiring,
    event: events.broken,
    to: { phase: 'sealing', outcome: { kind: 'partial', reason: 'network_stall' }, end: undefined },
  },
  {
    sentence: 'an acquisition whose bytes contradict each other has failed',
    from: acquiring,
    event: { ...events.broken, reason: 'integrity_conflict' },
    to: { phase: 'sealing', outcome: { kind: 'failed', reason: 'integrity_conflict' } },
  },
  {
    sentence: 'an acquisition that is canceled keeps what it has',
    from: acquiring,
    event: events.canceled,
    to: { phase: 'sealing', outcome: { kind: 'canceled', by: 'operator/alice' }, start: kept },
  },
  {
    sentence: 'a sealing ends with the evidence',
    from: sealing,
    event: events.sealed,
    to: {
      phase: 'sealed',
      outcome: complete,
      evidence,
      endedAt: at,
      start: kept,
      interruptions: sealing.interruptions,
    },
  },
  {
    sentence: 'a sealing may find the image to be worse than it was judged',
    from: sealing,
    event: { ...events.sealed, outcome: partial },
    to: { phase: 'sealed', outcome: partial },
  },
  {
    sentence: 'a sealing that finds no image ends without evidence',
    from: sealing,
    event: events.lost,
    to: { phase: 'done', outcome: { kind: 'failed', reason: 'storage_failed' }, acquired: { start: kept } },
  },
  {
    sentence: 'a sealed capture is analysed',
    from: sealed,
    event: events.analysis_started,
    to: { phase: 'analyzing', evidence },
  },
  {
    sentence: 'a sealed capture whose analysis is skipped is done',
    from: sealed,
    event: { ...events.analysis_ended, ending: { kind: 'skipped', reason: 'image_partial', detail: '' } },
    to: { phase: 'done', evidence, analysis: { kind: 'skipped' } },
  },
  {
    sentence: 'an analysis that was cut short starts anew, and is counted',
    from: analyzing,
    event: events.analysis_started,
    to: { ...analyzing, begun: 2 },
  },
  {
    sentence: 'an analysis that ends leaves the capture done',
    from: analyzing,
    event: events.analysis_ended,
    to: { phase: 'done', outcome: complete, evidence },
  },
];

describe('what may happen', () => {
  test.each(rows)('$sentence', ({ from, event, to }) => {
    const step = next(from, event);
    expect(step).toMatchObject({ kind: 'moved', state: to });
  });
});

describe('what may not happen', () => {
  const phases = Object.keys(states) as Phase[];
  const kinds = Object.keys(events) as Kind[];
  const allowed = new Set(rows.map(({ from, event }) => `${from.phase} ${event.kind}`));
  const forbidden = phases.flatMap((phase) =>
    kinds.filter((kind) => !allowed.has(`${phase} ${kind}`)).map((kind) => ({ phase, kind })),
  );

  test.each(forbidden)('a capture that is $phase refuses $kind and says so', ({ phase, kind }) => {
    expect(next(states[phase], events[kind])).toEqual({
      kind: 'refused',
      reason: `${kind} does not belong to a capture that is ${phase}`,
    });
  });

  test.each<{ sentence: string; from: CaptureState; event: CaptureEvent; reason: string }>([
    {
      sentence: 'another acquisition does not go on with an image',
      from: acquiring,
      event: { ...events.opened, start: { ...start, acquisitionId: 'acquisition-2' } },
      reason: 'never continued by another acquisition',
    },
    {
      sentence: 'an attempt as high as the last one is fenced',
      from: acquiring,
      event: { ...events.opened, attempt: 2 },
      reason: 'attempt 2 is fenced by attempt 2',
    },
    {
      sentence: 'a sealing does not make a partial image complete',
      from: sealingPartial,
      event: events.sealed,
      reason: 'never becomes better',
    },
    {
      sentence: 'a capture without an image is not complete',
      from: sealing,
      event: { ...events.lost, outcome: complete },
      reason: 'never becomes better',
    },
  ])('$sentence', ({ from, event, reason }) => {
    expect(next(from, event)).toMatchObject({ kind: 'refused', reason: expect.stringContaining(reason) });
  });
});
