import { type Finding, Severity, SeveritySchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { enumWord } from '../render/enum-word.ts';
import type { Session } from '../session.ts';

/** Says on stderr what a responder should look at, the gravest first: `finding (critical): RULE: …`. */
export function remarkOnFindings(session: Session, findings: readonly Finding[]): void {
  // A collector that is newer may know severities that this program does not: they are not to be overlooked.
  for (const { severity, rule, detail } of findings.toSorted((a, b) => b.severity - a.severity)) {
    const text = `finding (${enumWord(SeveritySchema, severity)}): ${rule}${detail === '' ? '' : `: ${detail}`}`;
    if (severity === Severity.INFO) session.note(text);
    else session.warn(text);
  }
}
