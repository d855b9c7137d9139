import type { Command } from 'commander';
import { type AnalysisOptions, addAnalysisOptions, choiceOf } from './analysis-options.ts';
import { captureText, exactText, examples, filled, type NotedHead, notedHead, timeSpan } from './arguments.ts';
import type { Runs } from './session-command.ts';

const defaultTimeout = '30m';

interface AnalyzeOptions extends AnalysisOptions {
  readonly wait?: true;
  readonly replace?: true;
  readonly timeout?: number;
}

/** What is done with the evidence of captures that have ended, and with the place where it is kept. */
export function addEvidence(program: Command, runs: Runs): void {
  addAnalyze(program, runs);
  addVerify(program, runs);
  addHolds(program, runs);
  addDelete(program, runs);
  addAdmin(program, runs);
}

function addAnalyze(program: Command, { inSession }: Runs): void {
  const command = program
    .command('analyze')
    .description(
      'Analyze the image of a capture again. A profile replaces the earlier results; plugins are added to them.',
    )
    .argument('<capture|node>', captureText, filled)
    .option('--wait', 'wait for the end, then print the processes by pod')
    .option('--timeout <time>', `longest time to wait, with --wait (default ${defaultTimeout})`, timeSpan);
  addAnalysisOptions(command)
    .option('--replace', 'with --plugin: replace rows of the same plugin that were found with other arguments')
    .addHelpText(
      'after',
      examples(
        'kcorder analyze node-1 --wait',
        'kcorder analyze c20261124t093730 --profile deep',
        "kcorder analyze c20261124t093730 --plugin linux.vmaregexscan.VmaRegExScan --arg 'pattern=BEGIN [A-Z ]*PRIVATE KEY'",
      ),
    )
    .action((target: string, options: AnalyzeOptions) => {
      if (options.timeout !== undefined && options.wait !== true)
        command.error('error: --timeout says how long --wait waits: give both or neither.');
      if (options.replace === true && options.plugin === undefined)
        command.error('error: --replace is about rows of plugins: give --plugin too.');
      const analysis = choiceOf(options, command);
      return inSession(async (session) => {
        const { analyze } = await import('../commands/analyze.ts');
        const timeoutMs = options.timeout ?? timeSpan(defaultTimeout);
        const { wait = false, replace = false } = options;
        return analyze(session, target, { wait, replace, timeoutMs, ...(analysis && { analysis }) });
      });
    });
}

function addVerify(program: Command, { inSession }: Runs): void {
  program
    .command('verify')
    .description(
      'Have the whole image read where it lies, and compared with its manifest; or the audit log followed from its first record.',
    )
    .argument('[capture|node]', captureText, filled)
    .option('--audit', "the collector's audit log, not a capture")
    .option(
      '--noted <sequence:sha256>',
      'with --audit: a head that was noted before and must still be in it',
      notedHead,
    )
    .addHelpText(
      'after',
      examples(
        'kcorder verify c20261124t093730',
        'kcorder verify --audit',
        'kcorder verify --audit --noted 812:6ce1f0a93b27',
      ),
    )
    .action((target: string | undefined, options: { audit?: true; noted?: NotedHead }, command: Command) => {
      if ((target === undefined) !== (options.audit === true))
        command.error('error: name a capture, or give --audit: one of the two.');
      if (options.noted !== undefined && options.audit !== true)
        command.error('error: --noted is about the audit log: give --audit too.');
      return inSession(async (session) => {
        if (target === undefined) {
          const { verifyAudit } = await import('../commands/verify-audit.ts');
          return verifyAudit(session, options.noted);
        }
        const { verify } = await import('../commands/verify.ts');
        return verify(session, target);
      });
    });
}

function addHolds(program: Command, { inSession }: Runs): void {
  program
    .command('hold')
    .description('Put evidence on hold: nothing deletes it until it is released.')
    .argument('<capture>', exactText, filled)
    .requiredOption('--reason <text>', 'why; it stays in the record', filled)
    .addHelpText(
      'after',
      examples(
        'kcorder hold c20261124t093730-bdaad11c --reason "legal hold, case 17"',
        'kcorder hold c20261124t093730-bdaad11c --reason INC-4711 -o json',
      ),
    )
    .action((id: string, { reason }: { reason: string }) =>
      inSession(async (session) => {
        const { hold } = await import('../commands/hold.ts');
        return hold(session, id, reason);
      }),
    );
  program
    .command('release')
    .description('Take every hold of a capture away.')
    .argument('<capture>', exactText, filled)
    .requiredOption('--reason <text>', 'why; it stays in the record', filled)
    .addHelpText(
      'after',
      examples(
        'kcorder release c20261124t093730-bdaad11c --reason "case 17 is closed"',
        'kcorder release c20261124t093730-bdaad11c --reason INC-4711 -o json',
      ),
    )
    .action((id: string, { reason }: { reason: string }) =>
      inSession(async (session) => {
        const { release } = await import('../commands/hold.ts');
        return release(session, id, reason);
      }),
    );
}

function addDelete(program: Command, { inSession }: Runs): void {
  program
    .command('delete')
    .description('Delete the image, the manifest and the results of a capture for good; a tombstone stays.')
    .argument('<capture>', exactText, filled)
    .requiredOption('--reason <text>', 'why; it stays in the tombstone', filled)
    .option('-y, --yes', 'do not ask')
    .addHelpText(
      'after',
      examples(
        'kcorder delete c20261124t093730-bdaad11c --reason "INC-4711 is closed"',
        'kcorder delete c20261124t093730-bdaad11c --reason INC-4711 --yes',
      ),
    )
    .action((id: string, { reason, yes }: { reason: string; yes?: true }) =>
      inSession(async (session) => {
        const { deleteEvidence } = await import('../commands/delete.ts');
        return deleteEvidence(session, id, reason, yes === true);
      }),
    );
}

function addAdmin(program: Command, { inSession }: Runs): void {
  program
    .command('admin')
    .description("Look after the collector's own things.")
    .command('store-check')
    .description('Try everything on the evidence store that the collector will ask of it, with an object of its own.')
    .addHelpText('after', examples('kcorder admin store-check', 'kcorder admin store-check -o json'))
    .action(() =>
      inSession(async (session) => {
        const { storeCheck } = await import('../commands/store-check.ts');
        return storeCheck(session);
      }),
    );
}
