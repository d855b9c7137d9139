import { Fault } from '@kcorder/proto/fault.ts';
import {
  type KernelSymbols,
  KernelSymbolsSchema,
  type ListSymbolsResponse,
  SymbolsState,
} from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { documentOf } from '../output/document.ts';
import { kernelText } from '../render/symbols.ts';
import { isKept, kernelName, symbolsWord } from '../render/symbols-words.ts';
import type { Session } from '../session.ts';

const shortestPrefixChars = 6;
const maxNamed = 8;

/** Every kernel that the collector knows of, and what is kept. */
export function listSymbols(session: Session): Promise<ListSymbolsResponse> {
  return session.symbols.listSymbols({}, { signal: session.terminal.interrupt });
}

/** Prints one kernel with its sources. */
export function printKernel(session: Session, kernel: KernelSymbols): void {
  session.print({
    document: () => documentOf(KernelSymbolsSchema, kernel),
    table: (look) => kernelText(kernel, look, Date.now()),
  });
}

/** The kernel of an answer that must have one. */
export function answered(kernel: KernelSymbols | undefined, name: string): KernelSymbols {
  if (kernel !== undefined) return kernel;
  throw new Fault('internal', `the collector answered without the symbols of ${name}. Report it`);
}

/** The kernel that a word on the command line means: a node's name, a key, a build-id or its beginning, or a release. */
export function resolveKernel(kernels: readonly KernelSymbols[], word: string): KernelSymbols {
  return onlyOne(matching(kernels, word), word);
}

/** The same among the kernels whose symbols are kept. */
export function resolveKept(kernels: readonly KernelSymbols[], word: string): KernelSymbols {
  const found = matching(kernels, word);
  const kept = found.filter(isKept);
  if (kept.length > 0) return onlyOne(kept, word);
  const kernel = onlyOne(found, word);
  // What is kept under its key is another build's, and only the collector knows what.
  if (kernel.status?.state === SymbolsState.MISMATCH) return kernel;
  throw new Fault(
    'symbols_unknown',
    `no symbols of kernel ${kernelName(kernel)} are kept: their state is ${symbolsWord(kernel.status)}. \`kcorder symbols get\` lists what is kept.`,
  );
}

/** Those of the first way to name a kernel that fits at all. */
function matching(kernels: readonly KernelSymbols[], word: string): KernelSymbols[] {
  const digits = word.toLowerCase();
  const ways: ((kernel: KernelSymbols) => boolean)[] = [
    ({ key }) => key === digits,
    ({ nodeNames }) => nodeNames.includes(word),
    ({ buildId }) => buildId === digits,
    ({ release }) => release === word,
    ({ buildId, key }) =>
      digits.length >= shortestPrefixChars && (buildId.startsWith(digits) || key.startsWith(digits)),
  ];
  return ways.map((fits) => kernels.filter(fits)).find((found) => found.length > 0) ?? [];
}

function onlyOne(found: readonly KernelSymbols[], word: string): KernelSymbols {
  const [first, ...others] = found;
  if (first === undefined) {
    throw new Fault(
      'symbols_unknown',
      `"${word}" is no node, kernel release or build-id that the collector knows (the beginning of one needs ${shortestPrefixChars} characters or more). \`kcorder symbols get\` lists them.`,
    );
  }
  if (others.length === 0) return first;
  const named = found.slice(0, maxNamed).map(kernelName);
  const rest = found.length > named.length ? ` and ${found.length - named.length} more` : '';
  throw new Fault(
    'invalid_argument',
    `"${word}" means ${found.length} kernels: ${named.join(', ')}${rest}. Give the key of one, the part in brackets.`,
  );
}
