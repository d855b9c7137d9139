import { Fault } from '@kcorder/proto/fault.ts';
import type { Command } from 'commander';
import type { Environment } from '../config.ts';
import { exitCode } from '../exit-code.ts';
import type { Terminal } from '../output/terminal.ts';
import { visible } from '../output/visible.ts';
import type { GlobalOptions } from '../session.ts';
import { captureText, examples, filled, unmaskText } from './arguments.ts';
import { addCapture } from './capture.ts';
import { addCluster } from './cluster.ts';
import { addEvidence } from './evidence.ts';
import { addKinds, addQuery } from './results.ts';
import { addSchedules } from './schedule.ts';
import { gatherOptions, globalOptionsOf, type Runs, SessionCommand } from './session-command.ts';
import { addSymbols } from './symbols.ts';

/** How a run of the program ends when it ends well, or badly without an error. */
export interface Ending {
  exit: number;
  /** How a sentence names the collector, once a session has found it. */
  place?: string;
}

/** The command tree. Commands are loaded when they run, so that help and usage errors are instant. */
export function createProgram(environment: Environment, terminal: Terminal, ending: Ending, name: string): Command {
  const program = new SessionCommand(name)
    .description("The memory flight recorder for Kubernetes nodes: capture a node's memory, see its processes by pod.")
    .configureOutput({
      writeOut: (text) => terminal.out.write(text),
      writeErr: (text) => terminal.err.write(text),
      outputError: (text, write) =>
        write(
          text
            .replace(/^error: /, 'kcorder: ')
            .split('\n')
            .map(visible)
            .join('\n'),
        ),
      getOutHelpWidth: () => terminal.out.columns ?? 100,
      getErrHelpWidth: () => terminal.err.columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false, visibleGlobalOptions: globalOptionsOf })
    .showHelpAfterError('Run the same command with --help for its usage and examples.')
    .exitOverride()
    .enablePositionalOptions()
    .hook('preAction', (_program, command) => gatherOptions(program, command));

  const runs: Runs = {
    inSession: async (work) => {
      const { openSession } = await import('../session.ts');
      const session = await openSession(program.opts<GlobalOptions>(), environment, terminal);
      ending.place = session.place;
      try {
        ending.exit = await work(session);
      } catch (error) {
        throw error instanceof Fault ? session.explained(error) : error;
      } finally {
        session.close();
      }
    },
    alone: async (work) => {
      ending.exit = await work(program.opts<GlobalOptions>(), environment, terminal);
    },
  };
  const { inSession, alone } = runs;

  addCapture(program, runs);

  const get = program.command('get').description('List captures, nodes, or what an analysis has found.');
  get
    .command('captures')
    .alias('capture')
    .description('List captures, newest first, or show one.')
    .argument('[capture|node]', captureText, filled)
    .option('--node <name>', 'only captures of this node', filled)
    .addHelpText(
      'after',
      examples(
        'kcorder get captures',
        'kcorder get captures --node node-1 -o wide',
        'kcorder get captures c20261124t093730 -o json',
      ),
    )
    .action((target: string | undefined, options: { node?: string }, command: Command) => {
      if (target !== undefined && options.node !== undefined)
        command.error('error: a capture and --node do not go together: give one of them.');
      return inSession(async (session) => {
        const { getCaptures } = await import('../commands/get-captures.ts');
        return getCaptures(session, target, options.node);
      });
    });
  get
    .command('nodes')
    .alias('node')
    .description('List nodes, or show one and what stands in the way of capturing it.')
    .argument('[name]', 'a node', filled)
    .addHelpText('after', examples('kcorder get nodes', 'kcorder get nodes node-1', 'kcorder get nodes -o wide'))
    .action((name: string | undefined) =>
      inSession(async (session) => {
        const { getNodes } = await import('../commands/get-nodes.ts');
        return getNodes(session, name);
      }),
    );

  get
    .command('plugins')
    .description('List the plugins that an analysis can run: their profiles, their arguments, and which are sensitive.')
    .addHelpText('after', examples('kcorder get plugins', 'kcorder get plugins -o json'))
    .action(() =>
      inSession(async (session) => {
        const { getPlugins } = await import('../commands/get-plugins.ts');
        return getPlugins(session);
      }),
    );

  addKinds(get, runs);

  program
    .command('ps')
    .description('Show the processes of a capture by namespace, pod and container.')
    .argument('<capture|node>', captureText, filled)
    .option('--plugin <name>', 'print the rows of this plugin instead', filled)
    .option('--all', 'list kernel threads too')
    .option('--unmask', unmaskText)
    .addHelpText(
      'after',
      examples(
        'kcorder ps node-1',
        'kcorder ps c20261124t093730 --all -o wide',
        'kcorder ps node-1 --plugin linux.lsof.Lsof',
      ),
    )
    .action((target: string, options: { plugin?: string; all?: true; unmask?: true }, command: Command) => {
      if (options.plugin !== undefined && options.all === true)
        command.error('error: --all and --plugin do not go together: give one of them.');
      return inSession(async (session) => {
        const { ps } = await import('../commands/ps.ts');
        return ps(session, target, { ...options, all: options.all === true, unmask: options.unmask === true });
      });
    });

  program
    .command('download')
    .description('Fetch the memory image of a capture and its manifest; a broken download goes on where it stopped.')
    .argument('<capture|node>', captureText, filled)
    .option('--results', 'what its analysis has found instead, as one SQLite file')
    .option('--unmask', `with --results: ${unmaskText}`)
    .option('-f, --file <file>', 'name of the file (default: <capture>.lime or <capture>.sqlite here)', filled)
    .addHelpText(
      'after',
      examples(
        'kcorder download c20261124t093730',
        'kcorder download c20261124t093730 -f /cases/INC-4711/node-1.lime',
        'kcorder download c20261124t093730 --results',
      ),
    )
    .action((target: string, options: { file?: string; results?: true; unmask?: true }, command: Command) => {
      if (options.unmask === true && options.results !== true)
        command.error('error: --unmask is about results: give --results too.');
      return inSession(async (session) => {
        if (options.results === true) {
          const { downloadResults } = await import('../commands/download-results.ts');
          return downloadResults(session, target, options.file, options.unmask === true);
        }
        const { download } = await import('../commands/download.ts');
        return download(session, target, options.file);
      });
    });

  addQuery(program, runs);
  addEvidence(program, runs);
  addSchedules(program, runs);
  addSymbols(program, runs);
  addCluster(program, runs);

  program
    .command('version')
    .description('Print the versions of this program and of the collector.')
    .addHelpText('after', examples('kcorder version', 'kcorder version -o json'))
    .action(() =>
      alone(async (...place) => {
        const { version } = await import('../commands/version.ts');
        return version(...place);
      }),
    );

  program.addHelpText(
    'after',
    `\nExit codes: ${exitCode.ok} ok, ${exitCode.failure} failure, ${exitCode.usage} usage, ${exitCode.partial} partial or damaged evidence, ${exitCode.timeout} timeout, ${exitCode.interrupted} interrupted.`,
  );
  return program;
}
