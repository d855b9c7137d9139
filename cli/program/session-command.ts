import { Command, Option } from 'commander';
import type { Environment } from '../config.ts';
import type { Terminal } from '../output/terminal.ts';
import type { GlobalOptions, Session } from '../session.ts';

/** Runs a command's work and keeps its exit code. */
export interface Runs {
  /** In a session with the collector. */
  inSession(work: (session: Session) => Promise<number>): Promise<void>;
  /** Without a collector, or with one of its own choice. */
  alone(work: (options: GlobalOptions, environment: Environment, terminal: Terminal) => Promise<number>): Promise<void>;
}

const documentForms = ['table', 'wide', 'json', 'yaml'];
/** The forms that rows are printed in. */
const rowForms = ['table', 'wide', 'json', 'jsonl', 'csv'];

const keys = [
  'output',
  'context',
  'namespace',
  'release',
  'kubeconfig',
  'serviceAccount',
  'tokenFile',
  'collector',
  'tlsDir',
  'color',
] as const;

/** A command that names an option it does not know before a required one that is missing: one may be the other, mistyped. */
export class StrictCommand extends Command {
  override parseOptions(args: string[]): ReturnType<Command['parseOptions']> {
    const parsed = super.parseOptions(args);
    // What is unknown ends it in any case.
    if (parsed.unknown.length > 0) for (const option of this.options) option.mandatory = false;
    return parsed;
  }
}

/**
 * A command that takes the global options itself, so that they may stand anywhere on the line. They cannot be left to the program alone, which
 * would take `-o FILE` of `symbols build -o FILE` for a form.
 */
export class SessionCommand extends StrictCommand {
  /** Help shows the global options as the program's. */
  constructor(name?: string, isProgram = true) {
    super(name);
    const output = new Option('-o, --output <form>', 'how results are printed').choices(documentForms);
    const options = [
      isProgram ? output.default('table') : output,
      new Option('--context <name>', 'context of the kubeconfig (default: its current one)'),
      new Option('-n, --namespace <name>', 'namespace that kcorder runs in (or KCORDER_NAMESPACE; default kcorder)'),
      new Option('--release <name>', 'which kcorder of that namespace, where there are several'),
      new Option('--kubeconfig <file>', 'the kubeconfig (or KUBECONFIG)'),
      new Option('--service-account <namespace/name>', 'come as this service account (or KCORDER_SERVICE_ACCOUNT)'),
      new Option('--token-file <file>', 'come with the token in this file'),
      new Option('--collector <host:port>', 'a collector outside of a cluster (or KCORDER_COLLECTOR)'),
      new Option('--tls-dir <dir>', 'for it: directory with ca.crt, tls.crt and tls.key (or KCORDER_TLS_DIR)'),
      new Option('--no-color', 'no colors (or NO_COLOR)'),
    ];
    for (const option of options) this.addOption(option.hideHelp(!isProgram));
  }

  /** Takes the forms of rows with `-o`, in the place of those of documents. */
  printsRows(): this {
    return this.#prints(rowForms);
  }

  /** Takes the forms of documents and of rows. */
  printsBoth(): this {
    return this.#prints([...new Set([...documentForms, ...rowForms])]);
  }

  #prints(forms: readonly string[]): this {
    this.options.find(isOutput)?.choices(forms).default('table').hideHelp(false);
    return this;
  }

  override createCommand(name?: string): SessionCommand {
    return new SessionCommand(name, false);
  }
}

function isOutput({ long }: Option): boolean {
  return long === '--output';
}

/** The program's options that the help of a command lists: all but those that the command takes in another form. */
export function globalOptionsOf(command: Command): Option[] {
  const own = new Set(command.options.filter(({ hidden }) => !hidden).map(({ long }) => long));
  const listed: Option[] = [];
  for (let at = command.parent; at !== null; at = at.parent)
    listed.push(...at.options.filter(({ hidden, long }) => !hidden && !own.has(long)));
  return listed;
}

/** Puts what was given of the global options, anywhere on the way to a command, into the program's own; the innermost counts. */
export function gatherOptions(program: Command, command: Command): void {
  if (command.parent !== null) gatherOptions(program, command.parent);
  if (!(command instanceof SessionCommand)) return;
  for (const key of keys) {
    if (command.getOptionValueSource(key) === 'cli') {
      program.setOptionValueWithSource(key, command.getOptionValue(key), 'cli');
    }
  }
}
