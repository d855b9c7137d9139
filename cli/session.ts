import type { JsonValue } from '@bufbuild/protobuf';
import { type Calls, connect } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { SymbolsService } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import type { Environment } from './config.ts';
import { openCollector } from './connection.ts';
import { jsonText, yamlText } from './output/document.ts';
import type { Look } from './output/grid.ts';
import { type Paint, paintFor } from './output/paint.ts';
import type { Terminal } from './output/terminal.ts';
import { visible } from './output/visible.ts';

/** The forms that a result can be printed in. */
export const outputForms = ['table', 'wide', 'json', 'yaml'] as const;

/** One of the forms. */
export type OutputForm = (typeof outputForms)[number];

/** The options that every command takes. */
export interface GlobalOptions {
  readonly output: OutputForm;
  readonly collector?: string;
  readonly tlsDir?: string;
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
  readonly terminal: Terminal;
  readonly output: OutputForm;
  /** Colours of stderr. */
  readonly paint: Paint;
  /** Prints a result on stdout. */
  print(result: Result): void;
  /** A line for people on stderr; control characters in it are shown, never obeyed. */
  note(text: string): void;
  /** The same, as a warning. */
  warn(text: string): void;
  close(): void;
}

/** The address that a run is to use, if any. */
export function addressOf(options: GlobalOptions, environment: Environment): string | undefined {
  return options.collector ?? environment.collector;
}

/** Opens a session with the collector. Nothing is sent before the first call. */
export function openSession(options: GlobalOptions, environment: Environment, terminal: Terminal): Session {
  const address = addressOf(options, environment);
  const tlsDir = options.tlsDir ?? environment.tlsDir;
  if (address === undefined) {
    throw new Fault('config_invalid', 'no collector is given. Set --collector host:port or KCORDER_COLLECTOR.');
  }
  if (tlsDir === undefined) {
    throw new Fault(
      'config_invalid',
      'no certificates are given. Set --tls-dir or KCORDER_TLS_DIR to a directory with ca.crt, tls.crt and tls.key.',
    );
  }
  const client = openCollector(address, tlsDir);
  const face = faceOf(options, environment, terminal);
  return {
    ...face,
    calls: connect(OperatorService, client),
    symbols: connect(SymbolsService, client),
    terminal,
    output: options.output,
    close: () => client.close(),
  };
}

/** The part of a session that needs no collector. */
export function faceOf(
  options: GlobalOptions,
  environment: Environment,
  terminal: Terminal,
): Pick<Session, 'print' | 'note' | 'warn' | 'paint'> {
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
    case 'json':
      return jsonText(result.document());
    case 'yaml':
      return yamlText(result.document());
  }
}
