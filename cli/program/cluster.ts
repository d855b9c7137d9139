import type { Command } from 'commander';
import { examples, filled, timeSpan } from './arguments.ts';
import type { Runs } from './session-command.ts';

/** What looks after the installation itself. */
export function addCluster(program: Command, { inSession, alone }: Runs): void {
  const joinToken = program.command('join-token').description('Let agents outside of Kubernetes in.');
  joinToken
    .command('create')
    .description('Make a token by which the agent of one node gets its certificate, once; it is printed alone.')
    .requiredOption('--node <name>', 'name of the node', filled)
    .requiredOption('--uid <uid>', 'its uid: any text that no other node has, such as its machine-id', filled)
    .option('--for <time>', 'how long it stays good, up to a day (default 10m)', timeSpan)
    .addHelpText(
      'after',
      examples(
        'kcorder join-token create --node db-7 --uid "$(cat /etc/machine-id)"',
        'kcorder join-token create --node db-7 --uid 6f0d8a528c1f --for 1h -o json',
      ),
    )
    .action((options: { node: string; uid: string; for?: number }) =>
      inSession(async (session) => {
        const { createJoinToken } = await import('../commands/join-token.ts');
        return createJoinToken(session, options.node, options.uid, options.for);
      }),
    );
  program
    .command('doctor')
    .description('Look for what stands in the way of kcorder in a cluster, as far as your rights go.')
    .addHelpText('after', examples('kcorder doctor', 'kcorder doctor --context prod -n security -o json'))
    .action(() =>
      alone(async (...place) => {
        const { doctor } = await import('../commands/doctor.ts');
        return doctor(...place);
      }),
    );
}
