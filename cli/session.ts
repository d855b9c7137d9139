import type { JsonValue } from '@bufbuild/protobuf';
import type { Calls } from '@kcorder/proto/bridge/connect.ts';
import type { Fault } from '@kcorder/proto/fault.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { EvidenceService } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { ResultsService } from '@kcorder/proto/gen/kcorder/v1/results_pb.ts';
import { ScheduleService } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { SymbolsService } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import type { Environment } from './config.ts';
import { openConnection } from './connect/open.ts';
import { type TargetOptions, targetOf } from './connect/target.ts';
import { jsonLine, jsonText, yamlText } from './output/document.ts';
import type { Look } from './output/grid.ts';
import { type Paint, paintFor } from './output/paint.ts';
import type { Terminal } from './output/terminal.ts';
import { visible } from './output/visible.ts';

/** The forms that a result can be printed in; the last two are for rows alone. */
export const outputForms = ['table', 'wide', 'json', 'yaml', 'jsonl', 'csv'] as const;

/** One of the forms. */
export type OutputForm = (typeof outputForms)[number];

/** The options that every command takes. */
export interface GlobalOptions extends TargetOptions {
  readonly output: OutputForm;
  readonly color: boolean;
}

/** Both faces of a result: only the one that was asked for is made. */
export interface Result {
  document(): JsonValue;
  table(look: Look): string;
}

/** What a command works with. */
export interface Session {
  readonly calls: Calls<typeof OperatorService>;
  readonly symbols: Calls<typeof SymbolsService>;
  readonly evidence: Calls<typeof EvidenceService>;
  readonly results: Calls<typeof ResultsService>;
  readonly schedules: Calls<typeof ScheduleService>;
  readonly enrolment: Calls<typeof EnrolmentService>;
  /** How a sentence names the collector, after "the collector at". */
  readonly place: string;
  readonly terminal: Terminal;
  readonly output: OutputForm;
  /** How tables on stdout look. */
  readonly look: Look;
  /** Colours of stderr. */
  readonly paint: Paint;
  /** Prints a result on stdout. */
  print(result: Result): void;
  /** A line for people on stderr; control characters in it are shown, never obeyed. */
  note(text: string): void;
  /** The same, as a warning. */
  warn(text: string): void;
  /** A fault with what is known of the way to the collector. */
  explained(fault: Fault): Fault;
  close(): void;
}

/** Opens a session with the collector. Nothing is asked of it before the first call; the way to it, in a cluster, is made here. */
export async function openSession(
  options: GlobalOptions,
  environment: Environment,
  terminal: Terminal,
): Promise<Session> {
  const reach = await openConnection(targetOf(options, environment), terminal.interrupt);
  const face = faceOf(options, environment, terminal);
  return {
    ...face,
    calls: reach.calls(OperatorService),
    symbols: reach.calls(SymbolsService),
    evidence: reach.calls(EvidenceService),
    results: reach.calls(ResultsService),
    schedules: reach.calls(ScheduleService),
    enrolment: reach.calls(EnrolmentService),
    place: reach.place,
    terminal,
    output: options.output,
    explained: reach.explained,
    close: reach.close,
  };
}

/** Whether results are for people rather than for programs. */
export function forPeople({ output }: Pick<Session, 'output'>): boolean {
  return output === 'table' || output === 'wide';
}

/** A session whose lines name a node, for work on several at once. Documents are left to who gathers them. */
export function ofNode(session: Session, nodeName: string): Session {
  return {
    ...session,
    note: (text) => session.note(`${nodeName}: ${text}`),
    warn: (text) => session.warn(`${nodeName}: ${text}`),
    print: (result) => {
      if (forPeople(session)) session.print(result);
    },
  };
}

/** The part of a session that needs no collector. */
export function faceOf(
  options: GlobalOptions,
  environment: Environment,
  terminal: Terminal,
): Pick<Session, 'print' | 'note' | 'warn' | 'paint' | 'look'> {
  const color = options.color && environment.color;
  const paint = paintFor(color && terminal.err.isTty);
  const look: Look = {
    paint: paintFor(color && terminal.out.isTty),
    width: terminal.out.columns,
    wide: options.output === 'wide',
  };
  const note = (text: string): void => terminal.err.write(`${visible(text)}\n`);
  return {
    paint,
    look,
    note,
    warn: (text) => terminal.err.write(`${paint('warn', visible(`warning: ${text}`))}\n`),
    print: (result) => terminal.out.write(textOf(result, options.output, look)),
  };
}

function textOf(result: Result, form: OutputForm, look: Look): string {
  switch (form) {
    case 'table':
    case 'wide':
      return result.table(look);
    case 'jsonl':
      return jsonLine(result.document());
    case 'json':
    case 'csv':
      return jsonText(result.document());
    case 'yaml':
      return yamlText(result.document());
  }
}
