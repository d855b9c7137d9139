import { cut } from '../plain.ts';
import type { Facts } from './facts.ts';

const summaryLimit = 150;
const textLimit = 2000;

/** A line and a sentence or two that say what happened, to which object, and what to do next. */
export function wordsOf(facts: Facts): { readonly summary: string; readonly text: string } {
  const { what, next } = say(facts);
  const where = facts.cluster === '' ? '' : ` [${facts.cluster}]`;
  return {
    summary: cut(what, summaryLimit),
    text: cut(`${what}.${next === '' ? '' : ` ${next}.`}${where}`, textLimit),
  };
}

function say(facts: Facts): { what: string; next: string } {
  const { id = '', node = '', schedule = '', reason = '' } = facts.capture ?? {};
  const capture = `capture ${id} of node ${node}${schedule === '' ? '' : ` (schedule ${schedule})`}`;
  const look = `Look at it with: kcorder get captures ${id}`;
  switch (facts.event) {
    case 'capture_complete':
      return { what: `Complete: ${capture}`, next: '' };
    case 'capture_partial':
      return { what: `Partial, ${reason}: ${capture}`, next: `What was acquired is kept. ${look}` };
    case 'capture_failed':
      return { what: `Failed, ${reason}: ${capture}`, next: look };
    case 'analysis_failed':
      return {
        what: `The analysis failed, ${facts.analysis?.reason ?? ''}: ${capture}`,
        next: `The image is kept. ${look}`,
      };
    case 'finding': {
      const rules = (facts.findings ?? []).map(({ rule, count }) => (count === 1 ? rule : `${rule} (${count})`));
      return { what: `Finding, ${facts.severity}, ${rules.join(', ')}: ${capture}`, next: look };
    }
    case 'run_missed': {
      const reasons = Object.entries(facts.runs?.reasons ?? {}).map(([why, count]) => `${why} (${count})`);
      const runs = facts.count === 1 ? 'a run' : `${facts.count} runs`;
      const name = facts.runs?.schedule ?? '';
      return {
        what: `Schedule ${name} missed ${runs}: ${reasons.join(', ')}`,
        next: `Look at them with: kcorder schedule runs ${name}`,
      };
    }
    case 'evidence_flawed':
      return {
        what: `The stored evidence is not what was sealed: ${capture}`,
        next: `Read it again with: kcorder verify ${id}`,
      };
    case 'evidence_not_stored': {
      const others = facts.count === 1 ? '' : `, and ${facts.count - 1} more`;
      return {
        what: `The evidence store has not taken the image: ${capture}${others}`,
        next: "It stays on the collector's disk and is tried again. Find out why with: kcorder admin store-check",
      };
    }
    case 'evidence_deleted':
      return { what: `The evidence was deleted by ${facts.deletion?.by ?? ''}: ${capture}`, next: '' };
    case 'store_filling': {
      const { usedBytes = 0, limitBytes = 1 } = facts.store ?? {};
      const percent = Math.floor((100 * usedBytes) / limitBytes);
      return {
        what: `The room for evidence is filling: ${percent} % of ${limitBytes} bytes are used`,
        next: 'Delete evidence, shorten its retention, or give more room; without room no capture starts',
      };
    }
  }
}
