import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import { identityOf, type KernelIdentity, type Symbols } from './symbols.ts';

/**
 * Looks for the symbols of a node's kernel as soon as the node is there, one search a node: with a new kernel it gives the one before up, so
 * that a node that attaches in a loop holds no more than one. Ends with the signal.
 */
export function warmSymbols(
  symbols: Symbols,
  ending: AbortSignal,
  log: Logger,
): (node: { readonly uid: string; readonly kernel: KernelIdentity }) => void {
  const searches = new Map<string, AbortController>();
  return ({ uid, kernel: told }) => {
    const kernel = identityOf(told);
    const replaced = searches.get(uid);
    const search = new AbortController();
    searches.set(uid, search);
    const started = performance.now();
    symbols
      .find(kernel, AbortSignal.any([ending, search.signal]))
      .then(
        ({ kind }) => {
          const seconds = Math.round(performance.now() - started) / 1000;
          const { release, buildId } = kernel;
          log.info({ release, buildId, symbols: kind, seconds }, 'symbols looked for');
        },
        (error: unknown) => {
          if (!ending.aborted && !search.signal.aborted)
            log.error({ causes: causeChain(error) }, 'symbols could not be looked for');
        },
      )
      .finally(() => {
        if (searches.get(uid) === search) searches.delete(uid);
      });
    // After the new one has begun: for the same kernel they share what is under way.
    replaced?.abort(new Fault('canceled', `the node has attached again`));
  };
}
