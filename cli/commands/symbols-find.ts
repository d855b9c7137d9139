import { type KernelSymbols, SymbolsState } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { answered, printKernel } from '../calls/symbols.ts';
import { exitCode } from '../exit-code.ts';
import { deadlineSignal, pause } from '../follow/pause.ts';
import { bytesText, spanText } from '../output/figures.ts';
import { startLiveLine } from '../output/live-line.ts';
import { durationText } from '../program/duration.ts';
import type { Session } from '../session.ts';

const askAgainMs = 1000;
/** The timeout is kept here; the call's own deadline is only there so that a collector that hangs lets go. */
const graceMs = 5000;

/** `kcorder symbols find NODE`: has the collector look for a node's symbols now. The exit code tells whether they are ready. */
export async function symbolsFind(session: Session, nodeName: string, timeoutMs: number): Promise<number> {
  const kernel = await search(session, nodeName, timeoutMs);
  printKernel(session, kernel);
  return kernel.status?.state === SymbolsState.READY ? exitCode.ok : exitCode.failure;
}

async function search(session: Session, nodeName: string, timeoutMs: number): Promise<KernelSymbols> {
  const { symbols: calls, terminal, paint } = session;
  const message = `the search for the symbols of node ${nodeName} has not ended within ${durationText(timeoutMs)} and was given up. Give it longer with --timeout; \`kcorder symbols get ${nodeName}\` shows how far it came.`;
  const signal = deadlineSignal(terminal.interrupt, timeoutMs, message);
  const over = new AbortController();
  const startMs = Date.now();
  let latest: KernelSymbols | undefined;
  using _line = startLiveLine(terminal.err, paint, () => progressText(nodeName, latest, Date.now() - startMs));
  const watched = watch(session, nodeName, AbortSignal.any([signal, over.signal]), (kernel) => {
    latest = kernel;
  });
  try {
    const { symbols } = await calls.findSymbols({ nodeName }, { signal, deadlineMs: timeoutMs + graceMs });
    return answered(symbols, `node ${nodeName}`);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    over.abort();
    await watched;
  }
}

/** Tells how the kernel of a node stands, once a second. It is only for the eye: that it cannot be told ends nothing. */
async function watch(
  { symbols: calls }: Session,
  nodeName: string,
  signal: AbortSignal,
  told: (kernel: KernelSymbols | undefined) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await pause(askAgainMs, signal);
      const { symbols } = await calls.listSymbols({}, { signal });
      told(symbols.find(({ nodeNames }) => nodeNames.includes(nodeName)));
    } catch {
      told(undefined);
    }
  }
}

function progressText(nodeName: string, kernel: KernelSymbols | undefined, spentMs: number): string {
  const { status } = kernel ?? {};
  const building = status?.state === SymbolsState.BUILDING ? status : undefined;
  const { doneBytes = 0n, totalBytes = 0n, detail = '' } = building ?? {};
  const parts = [`${nodeName}: ${detail || 'looking for symbols'}`];
  if (totalBytes > 0n) {
    parts.push(`${bytesText(doneBytes)} of ${bytesText(totalBytes)}`);
    parts.push(`${Math.floor((Number(doneBytes) / Number(totalBytes)) * 100)}%`);
  }
  return [...parts, spanText(spentMs)].join('  ');
}
