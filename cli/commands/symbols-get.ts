import { ListSymbolsResponseSchema } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { listSymbols, printKernel, resolveKernel } from '../calls/symbols.ts';
import { exitCode } from '../exit-code.ts';
import { documentOf } from '../output/document.ts';
import { bytesText } from '../output/figures.ts';
import { symbolsTable } from '../render/symbols.ts';
import { isKept } from '../render/symbols-words.ts';
import type { Session } from '../session.ts';

/** `kcorder symbols get [KERNEL|NODE]`: all kernels and their symbols, or one with every source and what to do next. */
export async function symbolsGet(session: Session, word: string | undefined): Promise<number> {
  const response = await listSymbols(session);
  const { symbols } = response;
  if (word !== undefined) {
    printKernel(session, resolveKernel(symbols, word));
    return exitCode.ok;
  }
  session.print({
    document: () => documentOf(ListSymbolsResponseSchema, response),
    table: (look) => (symbols.length === 0 ? '' : symbolsTable(symbols, look, Date.now())),
  });
  if (symbols.length === 0) session.note('No kernels: no agent has ever attached to this collector.');
  if (session.output === 'table' || session.output === 'wide')
    session.note(
      `${symbols.filter(isKept).length} kept, ${bytesText(response.keptBytes)} of ${bytesText(response.limitBytes)}.`,
    );
  return exitCode.ok;
}
