import { CheckState, CheckStateSchema, type CheckStoreResponse } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { type Cell, type Look, tableOf } from '../output/grid.ts';
import { enumWord } from './enum-word.ts';

const columns = ['STEP', 'STATE', 'DETAIL'].map((title) => ({ title }));

/** Steps of a check, one a line. Nothing is cut: the details say what to do. */
export function storeCheckTable(steps: readonly CheckStoreResponse[], look: Look): string {
  return tableOf(
    columns,
    steps.map(({ step, state, detail }) => [step, stateCell(state), detail || '-']),
    { ...look, wide: true },
  );
}

function stateCell(state: CheckState): string | Cell {
  const word = enumWord(CheckStateSchema, state);
  if (state === CheckState.OK) return word;
  return state === CheckState.SKIPPED ? { text: word, tone: 'quiet' } : { text: word.toUpperCase(), tone: 'bad' };
}
