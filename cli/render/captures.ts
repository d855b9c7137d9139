import type { AnalysisSymbols } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import type { Capture } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { AnalysisState, OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import type { GetAnalysisResponse } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { specText } from '../calls/analysis-choice.ts';
import { ageText, bytesText, momentOf, utcText } from '../output/figures.ts';
import { type Cell, type Column, type Look, type Row, tableOf } from '../output/grid.ts';
import {
  because,
  leftOutBrief,
  leftOutText,
  outcomeText,
  outcomeWord,
  phaseWord,
  resultsWord,
  waitingText,
} from './capture-words.ts';
import { confinementText } from './confinement.ts';
import { type Fact, factsText } from './facts.ts';
import { locationOf, placeCell, storageFacts } from './storage.ts';
import { symbolsBrief, usedText } from './symbols-words.ts';

const columns: readonly Column[] = [
  { title: 'ID' },
  { title: 'NODE' },
  { title: 'PHASE' },
  { title: 'OUTCOME' },
  { title: 'ANALYSIS' },
  { title: 'EVIDENCE' },
  { title: 'SIZE', align: 'right' },
  { title: 'AGE', align: 'right' },
];
const wideColumns: readonly Column[] = [
  { title: 'REQUESTED (UTC)' },
  { title: 'REQUESTED BY' },
  { title: 'SCHEDULE' },
  { title: 'HOLDS', align: 'right' },
  { title: 'SHA-256' },
  { title: 'LOCATION' },
];

/** Captures, one a line. */
export function capturesTable(captures: readonly Capture[], look: Look, nowMs: number): string {
  const titles = [...columns, ...(look.wide ? wideColumns : []), { title: 'REASON' }];
  return tableOf(
    titles,
    captures.map((capture) => rowOf(capture, look.wide, nowMs)),
    look,
  );
}

/** One capture: its line, then what the line has no room for. `found` is its analysis, where it is known. */
export function captureText(capture: Capture, look: Look, nowMs: number, found?: GetAnalysisResponse): string {
  const facts: Fact[] = [
    ['requested', `${utcText(momentOf(capture.requestedAt))} UTC by ${capture.requestedBy || 'somebody unnamed'}`],
    ['schedule', capture.schedule],
    ['approved', capture.approvedBy === '' ? '' : `by ${capture.approvedBy}`],
    ['waiting', capture.waiting ? waitingText.replace(/^waiting /, '') : ''],
    ['outcome', outcomeText(capture.outcome)],
    ['left out', leftOutText(capture)],
    [
      'analysis',
      [resultsWord(capture.analysis), because(capture.analysis), specText(capture.analysis?.spec)]
        .filter(Boolean)
        .join(', '),
    ],
    ['symbols', symbolsFact(capture, found?.symbols)],
    ['confined', found?.confinement === undefined ? '' : confinementText(found.confinement)],
    ...capture.interruptions.map(
      (break_): Fact => [
        'interrupted',
        `${utcText(momentOf(break_.at))} UTC at ${bytesText(break_.offset)}, resumed: ${break_.cause}`,
      ],
    ),
    ['evidence', locationOf(capture.storage, capture.evidencePath)],
    ['sha-256', capture.sha256],
    ...storageFacts(capture.storage),
  ];
  return `${capturesTable([capture], look, nowMs)}\n${factsText(facts, look)}`;
}

/** What an analysis used once it is done; until then what it would find. Why it found none is its own reason. */
function symbolsFact({ analysis, symbols }: Capture, used: AnalysisSymbols | undefined): string {
  if (analysis?.state === AnalysisState.DONE) return used === undefined ? '' : usedText(used);
  const source = symbols?.source ?? '';
  return source === '' ? symbolsBrief(symbols) : `${symbolsBrief(symbols)}, ${source}`;
}

function rowOf(capture: Capture, wide: boolean, nowMs: number): Row {
  const more = wide
    ? [
        utcText(momentOf(capture.requestedAt)),
        capture.requestedBy || '-',
        capture.schedule || '-',
        String(capture.storage?.holds.length ?? 0),
        capture.sha256 || '-',
        locationOf(capture.storage, capture.evidencePath) || '-',
      ]
    : [];
  return [
    capture.id,
    capture.nodeName,
    capture.waiting ? 'waiting' : phaseWord(capture.phase),
    outcomeCell(capture),
    resultsWord(capture.analysis),
    placeCell(capture.storage),
    capture.durableBytes === 0n ? '-' : bytesText(capture.durableBytes),
    ageText(momentOf(capture.requestedAt), nowMs),
    ...more,
    capture.reason,
  ];
}

function outcomeCell(capture: Capture): string | Cell {
  const text = [outcomeWord(capture.outcome), capture.outcome && leftOutBrief(capture)].filter(Boolean).join(', ');
  const kind = capture.outcome?.kind;
  return kind === OutcomeKind.PARTIAL || kind === OutcomeKind.FAILED ? { text, tone: 'bad' } : text;
}
