import fc from 'fast-check';
import { expect, test } from 'vitest';
import { at, complete, end, events, evidence, partial, start } from '../testing/states.ts';
import type { CaptureState, Outcome } from './capture.ts';
import type { CaptureEvent } from './event.ts';
import { next } from './next.ts';

const ends = fc.record({
  exitCode: fc.constantFrom(0, 0, 0, 1, -1),
  signal: fc.constantFrom('', '', '', 'SIGKILL'),
  bytes: fc.constantFrom(0, 100),
  canceled: fc.constantFrom(false, false, false, true),
});
const outcomes = fc.constantFrom<Outcome>(complete, partial, { kind: 'failed', reason: 'storage_failed', detail: '' });

const anyEvent: fc.Arbitrary<CaptureEvent> = fc.oneof(
  fc.constantFrom<CaptureEvent>(
    events.refused,
    events.expired,
    events.canceled,
    events.analysis_started,
    events.analysis_ended,
  ),
  fc
    .record({
      attempt: fc.integer({ min: 1, max: 6 }),
      acquisition: fc.constantFrom('a', 'b'),
      durableBytes: fc.nat(100),
    })
    .map(
      ({ attempt, acquisition, durableBytes }): CaptureEvent => ({
        ...events.opened,
        attempt,
        durableBytes,
        start: { ...start, acquisitionId: acquisition },
      }),
    ),
  fc.record({ changes: ends, durableBytes: fc.constantFrom(0, 99, 100) }).map(
    ({ changes, durableBytes }): CaptureEvent => ({
      kind: 'finished',
      at,
      end: { ...end, ...changes },
      durableBytes,
    }),
  ),
  fc
    .constantFrom('acquirer_died', 'ceiling_exceeded', 'integrity_conflict', 'network_stall')
    .map((reason): CaptureEvent => ({ kind: 'broken', at, reason, detail: '' })),
  outcomes.map((outcome): CaptureEvent => ({ kind: 'sealed', at, evidence, outcome })),
  outcomes.map((outcome): CaptureEvent => ({ kind: 'lost', at, outcome })),
);

/** The ordinary way of a capture; without it hardly any sequence would come to a good end. */
const ordinary: readonly CaptureEvent[] = [
  { ...events.opened, start: { ...start, acquisitionId: 'a' }, attempt: 1 },
  events.finished,
  events.sealed,
  events.analysis_started,
  events.analysis_ended,
];

/** Steps of the ordinary way, with anything else between them. */
const sequences = fc
  .array(fc.option(anyEvent, { freq: 2, nil: undefined }), { minLength: 1, maxLength: 20 })
  .map((steps) => {
    let taken = 0;
    return steps.map((event) => event ?? ordinary[taken++ % ordinary.length] ?? events.canceled);
  });

const acquiredOf = (state: CaptureState) =>
  state.phase === 'requested' ? undefined : state.phase === 'done' ? state.acquired : state;
const order: readonly CaptureState['phase'][] = ['requested', 'acquiring', 'sealing', 'sealed', 'analyzing', 'done'];

test('no sequence of events goes back, leaves an end, loses an interruption, splices an image or makes it better than it is', () => {
  const endings = new Set<string>();
  fc.assert(
    fc.property(sequences, (sequence) => {
      let state: CaptureState = { phase: 'requested' };
      let finishedWell = false;
      let sealedWell = false;
      for (const event of sequence) {
        const step = next(state, event);
        if (step.kind === 'refused') continue;
        expect(state.phase).not.toBe('done');
        expect(order.indexOf(step.state.phase)).toBeGreaterThanOrEqual(order.indexOf(state.phase));
        const [before, after] = [acquiredOf(state), acquiredOf(step.state)];
        if (before !== undefined) {
          expect(after?.start.acquisitionId).toBe(before.start.acquisitionId);
          expect(after?.interruptions.slice(0, before.interruptions.length)).toEqual(before.interruptions);
        }
        if (state.phase === 'acquiring' && step.state.phase === 'acquiring') {
          expect(step.state.epoch).toBe(state.epoch + 1);
          expect(step.state.attempt).toBeGreaterThan(state.attempt);
        }
        if ('outcome' in state && state.phase !== 'sealing' && 'outcome' in step.state) {
          expect(step.state.outcome).toEqual(state.outcome);
        }
        if (event.kind === 'finished') {
          const { exitCode, signal, bytes, canceled } = event.end;
          finishedWell = !canceled && exitCode === 0 && signal === '' && bytes === event.durableBytes && bytes > 0;
        }
        if (event.kind === 'sealed') sealedWell = event.outcome.kind === 'complete';
        state = step.state;
      }
      if (state.phase === 'done') {
        endings.add(state.outcome.kind);
        if (state.outcome.kind === 'complete')
          expect([finishedWell, sealedWell, state.evidence]).toEqual([true, true, evidence]);
      }
    }),
    { numRuns: 5_000 },
  );
  // Otherwise the events were too wild to show anything.
  expect([...endings].sort()).toEqual(['canceled', 'complete', 'failed', 'partial']);
});
