import type { Logger } from 'pino';
import type { Access } from '../access.ts';
import type { OpenedAnalysis } from '../analysis/open.ts';
import type { Config } from '../config.ts';
import type { Custody } from '../custody/open.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { AttachmentEvents } from '../fleet/attachment.ts';
import type { OpenedFleet } from '../fleet/open.ts';
import type { Journal } from '../journal/open.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { OpenedSchedules } from '../schedule/open.ts';
import type { SymbolSearch } from '../symbols/find.ts';
import { agentHandlers, ingestHandlers, type PresentNode, presentNode } from './agent-handlers.ts';
import { type EnrolmentHandlerDeps, enrolmentHandlers } from './enrolment-handlers.ts';
import { evidenceHandlers } from './evidence-handlers.ts';
import { Gate } from './gate.ts';
import { type OperatorHandlers, operatorHandlers } from './operator-handlers.ts';
import { whenCallIsRefused } from './refusals.ts';
import { resultsHandlers } from './results-handlers.ts';
import { scheduleHandlers } from './schedule-handlers.ts';
import { listen, type RunningServer, type ServerDeps } from './server.ts';
import { symbolsHandlers } from './symbols-handlers.ts';

/** Everything that calls reach. */
export interface ApiDeps {
  readonly config: Pick<Config, 'listen' | 'apiListen' | 'joinTokens'>;
  readonly version: string;
  readonly journal: Journal;
  readonly access: Access;
  readonly fleet: OpenedFleet;
  readonly evidence: EvidenceDirectory;
  readonly custody: Custody;
  readonly symbols: SymbolSearch;
  readonly analysis: OpenedAnalysis;
  readonly schedules: OpenedSchedules;
  readonly metrics: Metrics;
  readonly agents: AttachmentEvents;
  /** Puts on record what is done about certificates and join tokens. */
  readonly record: EnrolmentHandlerDeps['record'];
  readonly log: Logger;
}

/** Opens the ports of agents and people. Throws config_invalid when an address cannot be used. */
export async function openApi(deps: ApiDeps): Promise<RunningServer> {
  const { config, access, metrics, log } = deps;
  await using opened = new AsyncDisposableStack();
  const events = opened.adopt(whenCallIsRefused(metrics, log), (refusals) => refusals.close());
  const gate = new Gate(access.cluster?.reviewer, access.serving.peers);
  const present = presentNode((node) => access.cluster?.strangeness(node));
  const server = await listen({ agents: config.listen, api: config.apiListen }, access.serving, {
    services: servicesOf(deps, gate, present),
    gate,
    presentNode: present,
    events,
  });
  opened.defer(() => server.close());
  const owned = opened.move();
  return { ...server, close: () => owned.disposeAsync() };
}

function servicesOf(deps: ApiDeps, gate: Gate, present: PresentNode): ServerDeps['services'] {
  const { config, version, journal, access, evidence, custody, symbols, schedules, agents, record, analysis } = deps;
  const { fleet, acquisitions, typesTransfers } = deps.fleet;
  return {
    operator: operatorOf(deps, gate),
    evidence: evidenceHandlers({ journal: journal.captures, auditCheck: journal.auditCheck, evidence, ...custody }),
    results: resultsHandlers({
      journal: journal.captures,
      again: journal.reanalyses,
      ...{ evidence, images: custody.images, results: analysis.results, live: analysis.live },
    }),
    schedule: scheduleHandlers(schedules.schedules, gate),
    symbols: symbolsHandlers({ search: symbols, fleet, journal: journal.captures }),
    enrolment: enrolmentHandlers({
      ...access,
      ...(config.joinTokens && { joinTokens: journal.joinTokens }),
      record,
    }),
    agent: agentHandlers(present, fleet, agents, version),
    ingest: ingestHandlers(present, acquisitions, typesTransfers),
  };
}

function operatorOf(
  { version, journal, access, fleet, evidence, custody, symbols, analysis }: ApiDeps,
  gate: Gate,
): OperatorHandlers {
  return operatorHandlers({
    version,
    journal: journal.captures,
    captures: fleet.captures,
    acquisitions: fleet.acquisitions,
    evidence,
    storage: custody.storage,
    images: custody.images,
    again: journal.reanalyses,
    analyses: analysis,
    findings: journal.findings,
    fleet: fleet.fleet,
    symbols,
    approvals: journal.approvals,
    waits: (id) => fleet.slots.waits(id),
    admitToPods: (context, namespace) => gate.admitToPods(context, namespace),
    admitToUnmask: (context) => gate.admitToUnmask(context),
    ...(access.cluster && { places: access.cluster }),
  });
}
