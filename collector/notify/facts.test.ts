import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CaptureState } from '../capture/capture.ts';
import type { JournaledCapture } from '../journal/capture-journal.ts';
import { at, evidence, partial, request, start, states } from '../testing/states.ts';
import { captureEvent, eventKinds, type NotifiedEvent, storeFilling } from './event.ts';
import { factsOf, joinFacts, keyOf } from './facts.ts';
import { compose, type Notification } from './notification.ts';
import { schemaErrors } from './testing/json-schema.ts';

const docs = join(import.meta.dirname, '../../docs');
const schema = closed(JSON.parse(readFileSync(join(docs, 'notification.schema.json'), 'utf8')) as object) as Record<
  string,
  unknown
>;
const captureId = request.id;

/** The schema with nothing allowed that it does not name. */
function closed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, closed(item)]);
  return { ...Object.fromEntries(entries), ...('properties' in value ? { additionalProperties: false } : {}) };
}

function capture(state: CaptureState = states.done, more: Partial<JournaledCapture['request']> = {}): JournaledCapture {
  return { request: { ...request, ...more }, state, durableBytes: 0 };
}

function done(outcome: (CaptureState & { phase: 'done' })['outcome']): CaptureState {
  return { ...states.done, outcome };
}

/** An event of every kind. */
const events: NotifiedEvent[] = [
  { kind: 'capture_complete', captureId },
  { kind: 'capture_partial', captureId },
  { kind: 'capture_failed', captureId },
  { kind: 'analysis_failed', captureId, reason: 'symbols_missing' },
  {
    kind: 'finding',
    captureId,
    findings: [
      { severity: 'critical', rule: 'hidden_module' },
      { severity: 'critical', rule: 'hidden_module' },
      { severity: 'info', rule: 'executable_deleted' },
    ],
  },
  { kind: 'run_missed', schedule: 'nightly', reason: 'node_offline', count: 3 },
  { kind: 'evidence_flawed', captureId },
  { kind: 'evidence_not_stored', captureId },
  { kind: 'evidence_deleted', captureId, by: 'operator/alice' },
  { kind: 'store_filling', severity: 'warning', usedBytes: 86, limitBytes: 100 },
];

const outcomeOf: Partial<Record<NotifiedEvent['kind'], CaptureState>> = {
  capture_partial: { ...states.sealed, outcome: partial },
  capture_failed: done({ kind: 'failed', reason: 'order_expired', detail: '' }),
};

test('there is a sample of every event here', () => expect(events.map(({ kind }) => kind)).toEqual([...eventKinds]));

test.each(events.map((event) => [event.kind, event] as const))('%s is what the schema says', (_kind, event) => {
  const notification = compose(
    '00000000-0000-4000-8000-000000000000',
    factsOf(event, capture(outcomeOf[event.kind] ?? states.done), at, 'prod'),
  );
  expect(schemaErrors(schema, notification)).toEqual([]);
  expect(notification.text).not.toMatch(/undefined|NaN|, :|\(\)/);
});

test('the examples of the documentation are what the schema says, and there is one for every event', () => {
  const text = readFileSync(join(docs, 'notifications.md'), 'utf8');
  const examples = [...text.matchAll(/```json\n(\{\s*"format".*?)```/gs)].map(
    ([, json]) => JSON.parse(json ?? '') as Notification,
  );
  for (const example of examples) expect(schemaErrors(schema, example)).toEqual([]);
  expect(examples.map(({ event }) => event)).toEqual([...eventKinds]);
});

test('whatever names and reasons are, the notification is what the schema says', () => {
  const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 600 });
  fc.assert(
    fc.property(name, name, name, (node, schedule, reason) => {
      const odd = capture(states.done, { node: { name: node, uid: 'u' }, schedule: { name: schedule, tick: at } });
      for (const event of [
        { kind: 'analysis_failed', captureId, reason },
        { kind: 'run_missed', schedule, reason },
        { kind: 'evidence_deleted', captureId, by: reason },
      ] as const) {
        const notification = compose('00000000-0000-4000-8000-000000000000', factsOf(event, odd, at, ''));
        expect(schemaErrors(schema, notification)).toEqual([]);
        expect(JSON.stringify(notification)).not.toMatch(/(?!\ufffd)[\p{C}\p{Zl}\p{Zp}]/u);
        expect(notification.text.isWellFormed()).toBe(true);
      }
    }),
  );
});

test.each([
  ['a sealed image', 'sealed', states.sealed, 'capture_complete'],
  ['a sealed part of one', 'sealed', { ...states.sealed, outcome: partial }, 'capture_partial'],
  [
    'a capture that nobody took up',
    'expired',
    done({ kind: 'failed', reason: 'order_expired', detail: '' }),
    'capture_failed',
  ],
  [
    'an analysis that failed',
    'analysis_ended',
    { ...states.done, analysis: { kind: 'failed', reason: 'timeout', detail: '' } },
    'analysis_failed',
  ],
  ['an analysis that ended well', 'analysis_ended', states.done, undefined],
  [
    'an analysis that was not worth it',
    'analysis_ended',
    { ...states.done, analysis: { kind: 'skipped', reason: '', detail: '' } },
    undefined,
  ],
  ['an acquisition that begins', 'opened', states.acquiring, undefined],
  ['a break before the seal', 'broken', states.sealing, undefined],
  ['a capture that was canceled', 'canceled', done({ kind: 'canceled', by: 'operator/alice' }), undefined],
] satisfies [string, string, CaptureState, string | undefined][])(
  'of %s is told what there is to tell',
  (_sentence, action, state, kind) => {
    expect(captureEvent(action, capture(state))?.kind).toBe(kind);
  },
);

test('the reason of the person who asked, and what the node said, are not told', () => {
  const secret = 'INC-4711 payroll';
  const state: CaptureState = {
    phase: 'done',
    outcome: { kind: 'failed', reason: 'acquirer_failed', detail: secret },
    endedAt: at,
    analysis: { kind: 'failed', reason: 'timeout', detail: secret },
    evidence,
    acquired: { start, interruptions: [] },
  };
  for (const event of events) {
    const told = JSON.stringify(compose('id', factsOf(event, capture(state, { reason: secret }), at, '')));
    expect(told).not.toContain('4711');
  }
});

test('missed runs of one schedule become one notification with the sum of each reason', () => {
  const [one, two, three] = (['node_offline', 'late', 'node_offline'] as const).map((reason) =>
    factsOf({ kind: 'run_missed', schedule: 'nightly', reason, count: 2 }, undefined, at, ''),
  );
  if (one === undefined || two === undefined || three === undefined) throw new Error('no facts');
  expect(joinFacts(joinFacts(one, two), three)).toMatchObject({
    count: 6,
    runs: { reasons: { node_offline: 4, late: 2 } },
  });
});

test('the first analysis and one that was asked for again are told apart', () => {
  const first = { kind: 'analysis_failed', captureId, reason: 'timeout' } as const;
  expect(keyOf(first, 0)).not.toBe(keyOf({ ...first, requestedAt: at }, 0));
});

test.each([
  [84, undefined],
  [85, 'warning'],
  [94, 'warning'],
  [95, 'critical'],
  [120, 'critical'],
])('%i of 100 bytes in use is %s', (usedBytes, severity) => {
  expect(storeFilling(usedBytes, 100)).toEqual(
    severity && { kind: 'store_filling', severity, usedBytes, limitBytes: 100 },
  );
});

test('without a limit nothing fills', () => expect(storeFilling(5, 0)).toBeUndefined());
