import { type Node, PreflightReasonSchema } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import { SymbolsState } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { ageText, bytesText, momentOf } from '../output/figures.ts';
import { type Cell, type Column, type Look, type Row, tableOf } from '../output/grid.ts';
import { visible } from '../output/visible.ts';
import { enumWord } from './enum-word.ts';
import { symbolsBrief, symbolsCell, symbolsWord } from './symbols-words.ts';

const columns: readonly Column[] = [
  { title: 'NAME' },
  { title: 'STATUS' },
  { title: 'CAPTURABLE' },
  { title: 'SYMBOLS' },
  { title: 'KERNEL' },
  { title: 'AGENT' },
  { title: 'LAST SEEN', align: 'right' },
  { title: 'RUNNING CAPTURE' },
];
const wideColumns: readonly Column[] = [
  { title: 'ARCH' },
  { title: 'LOCKDOWN' },
  { title: 'RAM', align: 'right' },
  { title: 'BUILD-ID' },
  { title: 'COS BUILD' },
  { title: 'BOOT-ID' },
  { title: 'UID' },
];

/** Nodes, one a line. */
export function nodesTable(nodes: readonly Node[], look: Look, nowMs: number): string {
  const titles = look.wide ? [...columns, ...wideColumns] : columns;
  return tableOf(
    titles,
    nodes.map((node) => rowOf(node, look.wide, nowMs)),
    look,
  );
}

/** One node: its line, then whatever stands in the way of capturing it or of analysing what was captured. */
export function nodeText(node: Node, look: Look, nowMs: number): string {
  const refusals = (node.preflight?.refusals ?? []).map(
    ({ reason, message }) => `${look.paint('bad', enumWord(PreflightReasonSchema, reason))}: ${visible(message)}\n`,
  );
  const rest = refusals.length === 0 ? '' : `\nThis node cannot be captured:\n${refusals.join('')}`;
  return `${nodesTable([node], look, nowMs)}${rest}${symbolsRest(node, look)}`;
}

function symbolsRest({ name, symbols }: Node, look: Look): string {
  if (symbols === undefined || symbols.state === SymbolsState.READY || symbols.detail === '') return '';
  const head =
    symbols.state === SymbolsState.BUILDING ? 'Its symbols are on their way:' : 'A capture of it cannot be analyzed:';
  const tone = symbols.state === SymbolsState.BUILDING ? 'quiet' : 'bad';
  const state = look.paint(tone, `symbols ${symbolsWord(symbols)}`);
  return `\n${head}\n${state}: ${visible(symbols.detail)}\n\`kcorder symbols get ${visible(name)}\` shows what each source had.\n`;
}

function rowOf(node: Node, wide: boolean, nowMs: number): Row {
  const { kernel } = node;
  const ram = (kernel?.ramRanges ?? []).reduce((sum, range) => sum + range.end - range.start + 1n, 0n);
  const more = wide
    ? [
        kernel?.architecture || '-',
        kernel?.lockdown || '-',
        ram === 0n ? '-' : bytesText(ram),
        kernel?.buildId || '-',
        kernel?.cosBuildId || '-',
        kernel?.bootId || '-',
        node.uid,
      ]
    : [];
  return [
    node.name,
    node.online ? 'online' : { text: 'offline', tone: 'bad' },
    capturableCell(node),
    symbolsCell(node.symbols, symbolsBrief(node.symbols)),
    kernel?.release || '-',
    node.agentVersion || '-',
    node.online ? 'now' : ageText(momentOf(node.lastSeenAt), nowMs),
    node.runningCaptureId || '-',
    ...more,
  ];
}

function capturableCell(node: Node): string | Cell {
  if (node.preflight === undefined) return 'unknown';
  const reasons = node.preflight.refusals.map(({ reason }) => enumWord(PreflightReasonSchema, reason));
  return reasons.length === 0 ? 'yes' : { text: `no: ${reasons.join(', ')}`, tone: 'bad' };
}
