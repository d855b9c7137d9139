import type { Command } from 'commander';
import type { ScheduleOptions } from '../commands/schedule-create.ts';
import type { RunsOptions } from '../commands/schedule-runs.ts';
import { type AnalysisOptions, addAnalysisOptions, choiceOf } from './analysis-options.ts';
import { age, countUpTo, examples, filled, key, labels, names, nodeLabels, timeSpan } from './arguments.ts';
import type { Runs } from './session-command.ts';

type CreateOptions = Omit<ScheduleOptions, 'analysis'> & AnalysisOptions;

const mostRuns = 1000;
const mostKept = 1_000_000;

/** `kcorder schedule`: captures that are made by the clock. */
export function addSchedules(program: Command, runs: Runs): void {
  const schedule = program.command('schedule').description('Have captures made by the clock.');
  addCreate(schedule, runs);
  addQueries(schedule, runs);
  addKeeping(schedule, runs);
}

function addCreate(schedule: Command, { inSession }: Runs): void {
  const command = schedule
    .command('create')
    .description('Make a schedule. What is said of nodes and pods must fit all at once; without it, it is every node.')
    .argument('<name>', 'its name: lower-case letters, digits, dashes', filled)
    .requiredOption(
      '--cron <expression>',
      'minute, hour, day of the month, month, day of the week (a day is due if either day field fits); or @daily, …',
      filled,
    )
    .option('--time-zone <zone>', 'such as Europe/Berlin (default: UTC)', filled)
    .option('--node <name>', 'this node (repeatable)', names)
    .option('--node-labels <labels>', 'nodes with these labels, such as pool=web,tier!=cache', nodeLabels)
    .option('--pod-namespace <name>', 'nodes where pods of this namespace run (repeatable)', names)
    .option('--pod-labels <labels>', 'nodes where pods with these labels run', labels)
    .option('--no-analyze', 'capture only')
    .option('--jitter <time>', 'begin on each node up to this much after the tick (default: at the tick)', timeSpan)
    .option('--starting-deadline <time>', 'what could not begin so long after its moment is missed', timeSpan)
    .option('--max-concurrent <number>', 'nodes of this schedule that are captured at once', countUpTo(mostKept))
    .option('--ignore-pressure', 'capture nodes under memory, disk or PID pressure too')
    .option(
      '--keep-last <number>',
      'keep the newest complete captures of each node, whatever their age',
      countUpTo(mostKept),
    )
    .option('--ttl <time>', 'delete what is older, such as 30d', age)
    .option('--reason <text>', 'why; it stays in the evidence', filled);
  addAnalysisOptions(command)
    .addHelpText(
      'after',
      examples(
        'kcorder schedule create nightly --cron "0 3 * * *" --time-zone Europe/Berlin --jitter 30m --keep-last 7',
        'kcorder schedule create shop --cron "0 */6 * * *" --pod-namespace shop --ttl 30d --reason "baseline of the shop"',
        'kcorder schedule create weekly --cron "0 4 * * 0" --profile deep --keep-last 4',
        'kcorder schedule create edge --cron @hourly --node-labels pool=edge --no-analyze --max-concurrent 2 --keep-last 3',
      ),
    )
    .action((name: string, spec: CreateOptions, own: Command) => {
      const analysis = choiceOf(spec, own);
      if (analysis !== undefined && !spec.analyze)
        own.error('error: --no-analyze leaves nothing to --profile and --plugin: give one of them.');
      return inSession(async (session) => {
        const { scheduleCreate } = await import('../commands/schedule-create.ts');
        return scheduleCreate(session, name, { ...spec, ...(analysis && { analysis }) });
      });
    });
}

function addQueries(schedule: Command, { inSession }: Runs): void {
  schedule
    .command('get')
    .alias('list')
    .description('List schedules, or show one with its next ticks and its last runs.')
    .argument('[name]', 'a schedule', filled)
    .addHelpText(
      'after',
      examples('kcorder schedule get', 'kcorder schedule get -o wide', 'kcorder schedule get nightly -o json'),
    )
    .action((name: string | undefined) =>
      inSession(async (session) => {
        const { scheduleGet } = await import('../commands/schedule-get.ts');
        return scheduleGet(session, name);
      }),
    );
  schedule
    .command('runs')
    .description('Show what became of each tick on each node, newest first.')
    .argument('[name]', 'only of this schedule', filled)
    .option('--node <name>', 'only on this node', filled)
    .option('--limit <number>', 'so many at most (default 100)', countUpTo(mostRuns))
    .addHelpText(
      'after',
      examples('kcorder schedule runs nightly', 'kcorder schedule runs --node node-1 --limit 1000 -o json'),
    )
    .action((name: string | undefined, options: RunsOptions) =>
      inSession(async (session) => {
        const { scheduleRuns } = await import('../commands/schedule-runs.ts');
        return scheduleRuns(session, name, options);
      }),
    );
}

function addKeeping(schedule: Command, { inSession }: Runs): void {
  schedule
    .command('pause')
    .description('Make no captures until it is resumed; its ticks are recorded as skipped.')
    .argument('<name>', 'a schedule', filled)
    .addHelpText('after', examples('kcorder schedule pause nightly', 'kcorder schedule pause nightly -o json'))
    .action((name: string) =>
      inSession(async (session) => {
        const { schedulePause } = await import('../commands/schedule-keep.ts');
        return schedulePause(session, name);
      }),
    );
  schedule
    .command('resume')
    .description('End a pause.')
    .argument('<name>', 'a schedule', filled)
    .addHelpText('after', examples('kcorder schedule resume nightly', 'kcorder schedule resume nightly -o json'))
    .action((name: string) =>
      inSession(async (session) => {
        const { scheduleResume } = await import('../commands/schedule-keep.ts');
        return scheduleResume(session, name);
      }),
    );
  schedule
    .command('trigger')
    .description("Make one round now, beside the clock's; of a paused schedule too.")
    .argument('<name>', 'a schedule', filled)
    .option('--idempotency-key <key>', 'the same key never makes a second round (default: a new one)', key)
    .addHelpText(
      'after',
      examples(
        'kcorder schedule trigger nightly',
        'kcorder schedule trigger nightly --idempotency-key INC-4711 -o json',
      ),
    )
    .action((name: string, options: { idempotencyKey?: string }) =>
      inSession(async (session) => {
        const { scheduleTrigger } = await import('../commands/schedule-trigger.ts');
        return scheduleTrigger(session, name, options.idempotencyKey);
      }),
    );
  schedule
    .command('delete')
    .description('Delete a schedule; its captures and the record of its runs stay.')
    .argument('<name>', 'a schedule', filled)
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('kcorder schedule delete nightly', 'kcorder schedule delete nightly --yes'))
    .action((name: string, options: { yes?: true }) =>
      inSession(async (session) => {
        const { scheduleDelete } = await import('../commands/schedule-keep.ts');
        return scheduleDelete(session, name, options.yes === true);
      }),
    );
}
