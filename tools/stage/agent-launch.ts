/** How the agent is started: with a small young generation, which keeps it 15 MiB smaller. docs/install.md tells operators the same. */
export const agentArguments: readonly string[] = ['--max-semi-space-size=1'];
