import { create } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { ApproveCaptureResponseSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { exitCode } from '../exit-code.ts';
import { documentOf } from '../output/document.ts';
import { momentOf, utcText } from '../output/figures.ts';
import { tableOf } from '../output/grid.ts';
import type { Session } from '../session.ts';

/** `kcorder approve NODE --reason …`: allows somebody else one capture of a node. */
export async function approve(
  session: Session,
  nodeName: string,
  reason: string,
  forMs: number | undefined,
): Promise<number> {
  const { expiresAt } = await session.calls.approveCapture(
    { nodeName, reason, ...(forMs === undefined ? {} : { validFor: durationFromMs(forMs) }) },
    { signal: session.terminal.interrupt },
  );
  session.note(
    `One capture of ${nodeName} by somebody else is allowed, with the reason that you gave. Who asked repeats the command.`,
  );
  const response = create(ApproveCaptureResponseSchema, expiresAt === undefined ? {} : { expiresAt });
  session.print({
    document: () => ({ nodeName, reason, ...Object(documentOf(ApproveCaptureResponseSchema, response)) }),
    table: (look) =>
      tableOf(
        [{ title: 'NODE' }, { title: 'APPROVED UNTIL (UTC)' }, { title: 'REASON' }],
        [[nodeName, utcText(momentOf(expiresAt)), reason]],
        look,
      ),
  });
  return exitCode.ok;
}
