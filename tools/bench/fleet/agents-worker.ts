import { createInterface } from 'node:readline';
import { requireModernTls } from '../../../agent/tls.ts';
import { monotonicMs } from './clock.ts';
import type { AgentsCommand, AgentsReport } from './protocol.ts';
import { SimulatedAgent } from './simulated-agent.ts';

// Many agents in one process; the bench tells it what they are to do, one line of JSON a command.
requireModernTls();
/** Agents of one process that enrol at a time: the collector has a limit to what it checks at once. */
const enrolAtOnce = 8;
const agents: SimulatedAgent[] = [];

function say(report: AgentsReport): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

async function enrol({ apiAddress, ca, nodes, uploads }: Extract<AgentsCommand, { do: 'enrol' }>): Promise<void> {
  const waiting = nodes.values();
  const enrolInTurn = async (): Promise<void> => {
    for (const { name, number, joinToken } of waiting) {
      const ordered = (captureId: string): void => say({ captureId, atMs: monotonicMs() });
      const agent = new SimulatedAgent(name, number, ordered, uploads);
      await agent.enrol(apiAddress, joinToken, Buffer.from(ca));
      agents.push(agent);
    }
  };
  await Promise.all(Array.from({ length: enrolAtOnce }, enrolInTurn));
}

async function obey(command: AgentsCommand): Promise<void> {
  switch (command.do) {
    case 'enrol':
      await enrol(command);
      return say({ did: 'enrol' });
    case 'attach':
      await Promise.all(agents.map((agent) => agent.attach(command.address)));
      return say({ did: 'attach' });
    case 'count':
      return say({
        did: 'count',
        standing: agents.filter(({ stands }) => stands).length,
        losses: agents.reduce((sum, { losses }) => sum + losses, 0),
        failures: agents.reduce((sum, { failures }) => sum + failures, 0),
        lastFailure: agents.find(({ lastFailure }) => lastFailure !== '')?.lastFailure ?? '',
      });
    case 'detach':
      for (const agent of agents) agent.detach();
      return say({ did: 'detach' });
  }
}

for await (const line of createInterface({ input: process.stdin })) await obey(JSON.parse(line) as AgentsCommand);
