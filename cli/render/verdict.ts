import type { Verdict } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { bytesText } from '../output/figures.ts';
import { type Look, tableOf } from '../output/grid.ts';
import { factsText } from './facts.ts';

const columns = ['CAPTURE', 'VERDICT', 'SIZE', 'SHA-256'].map((title) => ({ title }));

/** What a verification found: a line, and of damage where the first of it is. Nothing is cut: digests are there to be compared. */
export function verdictText(captureId: string, verdict: Verdict, totalBytes: bigint, look: Look): string {
  const word = verdict.intact ? 'intact' : ({ text: 'DAMAGED', tone: 'bad' } as const);
  const row = [captureId, word, bytesText(totalBytes), verdict.sha256 || '-'];
  const facts = verdict.intact
    ? ''
    : factsText(
        [
          ['damage', verdict.detail],
          ['bytes', rangeText(verdict, totalBytes)],
        ],
        look,
      );
  return [tableOf(columns, [row], { ...look, wide: true }), facts].filter((part) => part !== '').join('\n');
}

/** Both ends are offsets of the plain image, the second one past the segment. */
function rangeText({ badFrom, badTo }: Verdict, totalBytes: bigint): string {
  if (badTo === 0n) return '';
  return `${badFrom} to ${badTo} of ${totalBytes} hold the first of it`;
}
