import { CommanderError } from 'commander';
import type { Environment } from './config.ts';
import { exitCode } from './exit-code.ts';
import type { Terminal } from './output/terminal.ts';
import { visible } from './output/visible.ts';
import { createProgram, type Ending } from './program/program.ts';
import type { GlobalOptions } from './session.ts';

/** Runs one command line, without the program's own name in front, and returns its exit code. Never throws. Help calls it `name`. */
export async function run(
  args: readonly string[],
  environment: Environment,
  terminal: Terminal,
  name = 'kcorder',
): Promise<number> {
  const ending: Ending = { exit: exitCode.ok };
  const program = createProgram(environment, terminal, ending, name);
  try {
    await program.parseAsync(args, { from: 'user' });
    return ending.exit;
  } catch (error) {
    if (error instanceof CommanderError) return usageExit(error);
    const { failureOf } = await import('./failure.ts');
    const { collector } = program.opts<GlobalOptions>();
    const { sentence, exit } = failureOf(error, ending.place ?? collector ?? environment.collector);
    if (terminal.interrupt.aborted && exit !== exitCode.interrupted) return interrupted(terminal);
    terminal.err.write(`kcorder: ${visible(sentence)}\n`);
    return exit;
  }
}

function usageExit(error: CommanderError): number {
  return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
}

function interrupted(terminal: Terminal): number {
  terminal.err.write('kcorder: interrupted.\n');
  return exitCode.interrupted;
}
