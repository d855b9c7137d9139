import { answered, listSymbols, printKernel, resolveKept } from '../calls/symbols.ts';
import { exitCode } from '../exit-code.ts';
import { bytesText } from '../output/figures.ts';
import { visible } from '../output/visible.ts';
import { isKept, kernelName } from '../render/symbols-words.ts';
import type { Session } from '../session.ts';

/** `kcorder symbols pin KERNEL` and `unpin KERNEL`: whether kept symbols may be evicted. */
export async function symbolsPin(session: Session, word: string, pinned: boolean): Promise<number> {
  const { key } = resolveKept((await listSymbols(session)).symbols, word);
  const { symbols } = await session.symbols.pinSymbols({ key, pinned }, { signal: session.terminal.interrupt });
  const kernel = answered(symbols, key);
  session.note(
    pinned
      ? `The symbols of ${kernelName(kernel)} are pinned: they are never evicted.`
      : `The symbols of ${kernelName(kernel)} are no longer pinned: they may be evicted when room is needed.`,
  );
  printKernel(session, kernel);
  return exitCode.ok;
}

/** `kcorder symbols delete KERNEL`: forgets kept symbols. */
export async function symbolsDelete(session: Session, word: string): Promise<number> {
  const kernel = resolveKept((await listSymbols(session)).symbols, word);
  const { key, sizeBytes, nodeNames } = kernel;
  await session.symbols.deleteSymbols({ key }, { signal: session.terminal.interrupt });
  session.print({
    document: () => ({ deleted: key }),
    table: () =>
      `symbols of ${visible(kernelName(kernel))} deleted${isKept(kernel) ? `, ${bytesText(sizeBytes)}` : ''}\n`,
  });
  const [nodeName] = nodeNames;
  if (nodeName !== undefined) {
    session.note(
      `${nodeNames.length === 1 ? `Node ${nodeName} runs` : `${nodeNames.length} nodes run`} this kernel: \`kcorder symbols find ${nodeName}\` looks for its symbols again.`,
    );
  }
  return exitCode.ok;
}
