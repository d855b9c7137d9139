import type { AnalysisSymbols } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import {
  type KernelSymbols,
  SymbolsQuality,
  SymbolsQualitySchema,
  SymbolsState,
  SymbolsStateSchema,
  type SymbolsStatus,
} from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import type { Cell } from '../output/grid.ts';
import { enumWord } from './enum-word.ts';

/** The state in one word, with what is done of a build: `building 45%`; a dash when it was not told. */
export function symbolsWord(status: SymbolsStatus | undefined): string {
  if (status === undefined || status.state === SymbolsState.UNSPECIFIED) return '-';
  const word = enumWord(SymbolsStateSchema, status.state);
  if (status.state !== SymbolsState.BUILDING || status.totalBytes === 0n) return word;
  return `${word} ${Math.min(100, Math.floor((Number(status.doneBytes) / Number(status.totalBytes)) * 100))}%`;
}

/** Words for a state as a cell: in the tone of what is bad when an analysis would find no symbols. */
export function symbolsCell(status: SymbolsStatus | undefined, text: string): string | Cell {
  const good = text === '-' || status?.state === SymbolsState.READY || status?.state === SymbolsState.BUILDING;
  return good ? text : { text, tone: 'bad' };
}

/** What symbols were made of, in one word; a dash when there is nothing to tell. */
export function qualityWord(quality: SymbolsQuality | undefined): string {
  return quality === undefined || quality === SymbolsQuality.UNSPECIFIED
    ? '-'
    : enumWord(SymbolsQualitySchema, quality);
}

/** The state, and for symbols that are no vmlinux's what they were made of: `ready (btf)`. */
export function symbolsBrief(status: SymbolsStatus | undefined): string {
  const quality = qualityWord(status?.quality);
  const plain = status?.state !== SymbolsState.READY || status.quality === SymbolsQuality.DWARF || quality === '-';
  return plain ? symbolsWord(status) : `${symbolsWord(status)} (${quality})`;
}

/** The symbols that an analysis used: where they came from, what they were made of, and which they were. */
export function usedText({ source, quality, isfSha256 }: AnalysisSymbols): string {
  const word = qualityWord(quality);
  return `${source || 'unnamed'}${word === '-' ? '' : ` (${word})`}${isfSha256 === '' ? '' : `, ISF SHA-256 ${isfSha256}`}`;
}

/** Whether symbols of a kernel are kept. */
export function isKept(kernel: KernelSymbols): boolean {
  return kernel.sizeBytes > 0n;
}

/** A kernel as people call it: its release and, in brackets, what tells it from others of that release. */
export function kernelName({ release, key }: KernelSymbols): string {
  return release === '' ? key : `${release} (${key})`;
}
