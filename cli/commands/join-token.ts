import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { CreateJoinTokenResponseSchema } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { exitCode } from '../exit-code.ts';
import { documentOf } from '../output/document.ts';
import { momentOf, utcText } from '../output/figures.ts';
import { visible } from '../output/visible.ts';
import type { Session } from '../session.ts';

/** `kcorder join-token create`: makes a token for the agent of one node and prints it alone. */
export async function createJoinToken(
  session: Session,
  nodeName: string,
  nodeUid: string,
  forMs: number | undefined,
): Promise<number> {
  const response = await session.enrolment.createJoinToken(
    { nodeName, nodeUid, ...(forMs === undefined ? {} : { validFor: durationFromMs(forMs) }) },
    { signal: session.terminal.interrupt },
  );
  session.note(
    `A secret that works once, for the agent of ${nodeName}, until ${utcText(momentOf(response.expiresAt))} UTC.`,
  );
  session.print({
    document: () => documentOf(CreateJoinTokenResponseSchema, response),
    table: () => `${visible(response.token)}\n`,
  });
  return exitCode.ok;
}
