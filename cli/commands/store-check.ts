import { Fault } from '@kcorder/proto/fault.ts';
import {
  CheckState,
  type CheckStoreResponse,
  CheckStoreResponseSchema,
} from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { exitCode } from '../exit-code.ts';
import { leavable } from '../follow/stream.ts';
import { documentOf } from '../output/document.ts';
import { spanText } from '../output/figures.ts';
import { startLiveLine } from '../output/live-line.ts';
import { storeCheckTable } from '../render/store-check.ts';
import type { Session } from '../session.ts';

/** `kcorder admin store-check`: has the collector try everything on its evidence store. The exit code tells whether it is fit. */
export async function storeCheck(session: Session): Promise<number> {
  const steps: CheckStoreResponse[] = [];
  try {
    await follow(session, steps);
  } finally {
    // What was seen before the connection broke is worth reading too.
    show(session, steps);
  }
  if (steps.length === 0) throw new Fault('internal', 'the collector checked nothing of its evidence store. Report it');
  const failed = steps.filter(({ state }) => state !== CheckState.OK && state !== CheckState.SKIPPED).length;
  if (failed > 0) {
    session.warn(`the evidence store is not fit: ${failed} of ${steps.length} steps failed`);
    return exitCode.failure;
  }
  session.note('The evidence store takes, gives back and deletes as the collector needs it.');
  return exitCode.ok;
}

async function follow({ evidence, terminal, paint }: Session, steps: CheckStoreResponse[]): Promise<void> {
  const startMs = Date.now();
  using _line = startLiveLine(
    terminal.err,
    paint,
    () => `checking the evidence store: ${steps.length} steps done  ${spanText(Date.now() - startMs)}`,
  );
  const signal = terminal.interrupt;
  for await (const step of leavable((own) => evidence.checkStore({}, { signal: own }), signal)) steps.push(step);
}

function show(session: Session, steps: readonly CheckStoreResponse[]): void {
  if (steps.length === 0) return;
  session.print({
    document: () => ({
      steps: steps.map((step) => documentOf(CheckStoreResponseSchema, step)),
    }),
    table: (look) => storeCheckTable(steps, look),
  });
}
