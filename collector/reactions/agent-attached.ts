import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import type { AttachmentEvents } from '../fleet/attachment.ts';
import type { Captures } from '../fleet/captures.ts';
import type { OpenedSchedules } from '../schedule/open.ts';
import type { Symbols } from '../symbols/symbols.ts';
import { warmSymbols } from '../symbols/warm.ts';

/** Everything that follows an agent. */
export interface AgentReactionDeps {
  readonly captures: Captures;
  readonly schedules: OpenedSchedules;
  readonly symbols: Symbols;
  readonly log: Logger;
}

/** Reactions to agents; closing ends the searches for symbols that they began. */
export interface AgentReactions extends AttachmentEvents {
  close(): void;
}

/** An agent has attached, is alive, or refuses an order. */
export function whenAgentAttaches({ captures, schedules, symbols, log }: AgentReactionDeps): AgentReactions {
  const ending = new AbortController();
  const warmUp = warmSymbols(symbols, ending.signal, log);
  const complain = (what: string) => (error: unknown) => log.error({ causes: causeChain(error) }, what);
  return {
    attached: (agent, running) => {
      log.info({ node: agent.node.name, agent: agent.node.agentVersion, running }, 'agent attached');
      warmUp(agent.node);
      schedules.agentAttached();
      captures.agentAttached(agent, running).catch(complain('an agent that attached could not be followed up'));
    },
    heard: (node, running) => {
      captures.agentHeard(node, running).catch(complain('a heartbeat could not be followed up'));
    },
    refused: (node, captureId, detail) => {
      if (captures.agentRefused(node, captureId, detail))
        log.warn({ node: node.name, capture: captureId, detail }, 'order refused');
    },
    close: () => ending.abort(new Fault('unavailable', 'the collector is ending')),
  };
}
