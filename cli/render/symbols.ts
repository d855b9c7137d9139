import { type KernelSymbols, SymbolsState } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { ageText, bytesText, momentOf, utcText } from '../output/figures.ts';
import { type Cell, type Column, type Look, type Row, tableOf } from '../output/grid.ts';
import { visible } from '../output/visible.ts';
import { factsText } from './facts.ts';
import { isKept, qualityWord, symbolsCell, symbolsWord } from './symbols-words.ts';

const shortBuildIdChars = 12;

/** The source is the longest and comes last, where a narrow terminal cuts it. */
const columns: readonly Column[] = [
  { title: 'KERNEL' },
  { title: 'BUILD-ID' },
  { title: 'SYMBOLS' },
  { title: 'QUALITY' },
  { title: 'SIZE', align: 'right' },
  { title: 'PINNED' },
  { title: 'NODES' },
  { title: 'USED', align: 'right' },
];
const sourceColumns: readonly Column[] = [
  { title: 'SOURCE' },
  { title: 'STATE' },
  { title: 'ASKED', align: 'right' },
  { title: 'DETAIL' },
];

/** Kernels and their symbols, one a line. */
export function symbolsTable(kernels: readonly KernelSymbols[], look: Look, nowMs: number): string {
  const titles = [...columns, ...(look.wide ? [{ title: 'KEY' }, { title: 'ARCH' }] : []), { title: 'SOURCE' }];
  return tableOf(
    titles,
    kernels.map((kernel) => rowOf(kernel, look.wide, nowMs)),
    look,
  );
}

/** One kernel: its line, every source in the order in which they are asked, what to do next, and what the ISF does not know. */
export function kernelText(kernel: KernelSymbols, look: Look, nowMs: number): string {
  const { status, remarks } = kernel;
  const facts = factsText(
    [
      ['banner', kernel.banner],
      ['build-id', kernel.buildId],
      ['key', kernel.key === kernel.buildId ? '' : kernel.key],
      ['cos build', kernel.cosBuildId],
      ['nodes', kernel.nodeNames.join(', ')],
      ['source', status?.source ?? ''],
      ['built', kernel.builtAt === undefined ? '' : `${utcText(momentOf(kernel.builtAt))} UTC`],
      ['isf sha-256', status?.isfSha256 ?? ''],
    ],
    look,
  );
  const notes = remarks.map((remark): [string, string] => ['remark', remark]);
  return [
    symbolsTable([kernel], look, nowMs),
    facts,
    sourcesText(kernel, look, nowMs),
    nextText(kernel, look),
    factsText(notes, look),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function rowOf(kernel: KernelSymbols, wide: boolean, nowMs: number): Row {
  const { status, nodeNames } = kernel;
  const nodes = wide ? nodeNames.join(',') : String(nodeNames.length);
  return [
    kernel.release || '-',
    (wide ? kernel.buildId : kernel.buildId.slice(0, shortBuildIdChars)) || '-',
    symbolsCell(status, symbolsWord(status)),
    qualityWord(status?.quality),
    isKept(kernel) ? bytesText(kernel.sizeBytes) : '-',
    kernel.pinned ? 'yes' : '-',
    nodes || '-',
    ageText(momentOf(kernel.usedAt), nowMs),
    ...(wide ? [kernel.key, kernel.architecture || '-'] : []),
    status?.source || '-',
  ];
}

/** Never cut: the details are what a person is here for. */
function sourcesText(kernel: KernelSymbols, look: Look, nowMs: number): string {
  const sources = kernel.status?.sources ?? [];
  // Of kept symbols alone the collector does not tell which sources were asked.
  if (sources.length === 0 && isKept(kernel)) return 'Its symbols are kept: no source needs to be asked.\n';
  if (sources.length === 0) return 'No source has been asked since the collector started.\n';
  const rows = sources.map((report): Row => {
    const untilMs = momentOf(report.rememberedUntil) ?? 0;
    const remembered = untilMs > nowMs ? `remembered until ${utcText(untilMs)} UTC` : '';
    return [
      report.name,
      stateCell(report.state),
      report.askedAt === undefined ? '-' : `${ageText(momentOf(report.askedAt), nowMs)} ago`,
      [report.detail, remembered].filter((part) => part !== '').join('; ') || '-',
    ];
  });
  return tableOf(sourceColumns, rows, { ...look, wide: true });
}

function stateCell(state: string): string | Cell {
  const text = state.replaceAll('_', ' ');
  if (['failed', 'mismatch', 'rejected'].includes(state)) return { text, tone: 'bad' };
  return ['not_asked', 'not_configured'].includes(state) ? { text, tone: 'quiet' } : text;
}

function nextText({ status, nodeNames }: KernelSymbols, look: Look): string {
  if (status === undefined || status.state === SymbolsState.READY || status.detail === '') return '';
  const [nodeName] = nodeNames;
  const settled = status.state === SymbolsState.BUILDING || status.state === SymbolsState.UNSUPPORTED;
  const again =
    settled || nodeName === undefined ? '' : `\`kcorder symbols find ${visible(nodeName)}\` looks again now.\n`;
  const tone = status.state === SymbolsState.BUILDING ? 'quiet' : 'bad';
  return `${look.paint(tone, symbolsWord(status))}: ${visible(status.detail)}\n${again}`;
}
