import { kinds, pluginOf } from '@kcorder/proto/results/kinds.ts';
import type { Command } from 'commander';
import type { RowOptions } from '../commands/get-rows.ts';
import { captureText, countUpTo, examples, filled, onePod, pidNumber, unmaskText } from './arguments.ts';
import { type Runs, SessionCommand } from './session-command.ts';

interface QueryOptions {
  readonly file?: string;
  readonly unmask?: true;
}

const mostRows = 999_999_999;

/** Adds a subcommand of `get` for each kind of rows, and one for the plugins that are no kind. */
export function addKinds(get: Command, runs: Runs): void {
  for (const { name, plugin, summary } of kinds) {
    const command = get
      .command(name)
      .description(`List the ${summary}: the rows of ${plugin}, with the pod of each.`)
      .addHelpText(
        'after',
        examples(`kcorder get ${name} node-1`, `kcorder get ${name} c20261124t093730 --pod shop/web-0 -o jsonl`),
      );
    addRowOptions(command, runs, () => plugin);
  }
  const command = get
    .command('rows')
    .description('List the rows of any plugin that was run, with the pod of each.')
    .requiredOption('--plugin <name>', 'of this plugin, as `kcorder get plugins` lists them, or kind', filled)
    .addHelpText('after', examples('kcorder get rows c20261124t093730 --plugin linux.vmaregexscan.VmaRegExScan'));
  addRowOptions(command, runs, ({ plugin = '' }) => pluginOf(plugin));
}

function addRowOptions(
  command: Command,
  { inSession }: Runs,
  nameOf: (options: { readonly plugin?: string }) => string,
): void {
  command
    .argument('<capture|node>', captureText, filled)
    .option('--pod <namespace/name>', 'only those of this pod', onePod)
    .option('--container <name>', 'only those of this container', filled)
    .option('--pid <number>', 'only those of the process with this pid on the node', pidNumber)
    .option('--filter <conditions>', `only those that fit, such as "comm = 'sshd' AND pid > 100"`, filled)
    .option('--sort-by <column>', 'order by a column, as in "pid desc" (default: as the plugin found them)', filled)
    .option('--limit <number>', 'at most so many (default: all)', countUpTo(mostRows))
    .option('--unmask', unmaskText)
    .action((target: string, options: RowOptions & { readonly plugin?: string }) =>
      inSession(async (session) => {
        const { getRows } = await import('../commands/get-rows.ts');
        return getRows(session, nameOf(options), target, options);
      }),
    );
  if (command instanceof SessionCommand) command.printsRows();
}

/** Adds `query`. */
export function addQuery(program: Command, { inSession, alone }: Runs): void {
  const command = program
    .command('query')
    .description('Ask the results of a capture one SELECT, on this machine.')
    .argument('[capture|node]', captureText, filled)
    .argument('[sql]', 'the SELECT', filled)
    .option('-f, --file <file>', 'ask a file that was downloaded, and no collector', filled)
    .option('--unmask', unmaskText)
    .addHelpText(
      'after',
      examples(
        `kcorder query node-1 "SELECT namespace, pod, count(*) FROM sockets WHERE state = 'LISTEN' GROUP BY 1, 2"`,
        `kcorder query -f c20261124t093730.sqlite 'SELECT plugin, state, reason FROM _plugins' -o csv`,
      ),
    )
    .action((first: string | undefined, second: string | undefined, options: QueryOptions, own: Command) => {
      const { file } = options;
      const [target, sql] = file === undefined ? [first, second] : [undefined, first];
      if (sql === undefined || (file !== undefined && second !== undefined))
        return own.error('error: give a capture and a SELECT, or --file and a SELECT.');
      if (file !== undefined || target === undefined)
        return alone(async (global, environment, terminal) => {
          const { faceOf } = await import('../session.ts');
          const { queryFile } = await import('../commands/query.ts');
          const session = { ...faceOf(global, environment, terminal), terminal, output: global.output };
          return queryFile(session, file ?? '', sql);
        });
      return inSession(async (session) => {
        const { query } = await import('../commands/query.ts');
        return query(session, target, sql, options.unmask === true);
      });
    });
  if (command instanceof SessionCommand) command.printsRows();
}
