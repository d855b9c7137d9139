import tls from 'node:tls';
import type { Logger } from 'pino';
import { type Access, openAccess, type Surroundings } from './access.ts';
import { openAnalysis } from './analysis/open.ts';
import type { Config } from './config.ts';
import { openCustody } from './custody/open.ts';
import { EvidenceDirectory } from './evidence/evidence-directory.ts';
import { type OpenedFleet, openFleet } from './fleet/open.ts';
import { type Journal, openJournal } from './journal/open.ts';
import { Metrics } from './metrics/metrics.ts';
import { openNotifier } from './notify/open.ts';
import { openPorts } from './ports.ts';
import { whenAccessChanges } from './reactions/access-changed.ts';
import { whenAnalysisEnds } from './reactions/analysis-ended.ts';
import { whenCaptureChanges } from './reactions/capture-changed.ts';
import { whenEvidenceChanges } from './reactions/evidence-changed.ts';
import { whenRunEnds } from './reactions/run-ended.ts';
import { type OpenedSchedules, openSchedules } from './schedule/open.ts';
import { openSymbols } from './symbols/open.ts';
import { version } from './version.ts';

/** A collector that works. */
export interface Collector {
  readonly port: number;
  /** 0 when it is not offered. */
  readonly apiPort: number;
  /** Looks at certificates and authorities now; it is done every 15 s by itself. */
  lookAtCertificates(): Promise<void>;
  /** Counts an error that nothing waited for. */
  countUnexpected(): void;
  /** Ends within 20 s. Running captures go on when a collector is started again on the same data. */
  close(): Promise<void>;
}

/**
 * Starts a collector: opens the journal, takes up what a killed collector left, listens. Throws config_invalid, database_unusable,
 * storage_failed, cluster_unavailable; whatever was opened by then is closed.
 */
export async function startCollector(config: Config, log: Logger, surroundings: Surroundings = {}): Promise<Collector> {
  // grpc-js has no setting of its own for this.
  tls.DEFAULT_MIN_VERSION = 'TLSv1.3';
  // Closed in reverse, so that each part has all that it uses for as long as it lives.
  await using stack = new AsyncDisposableStack();
  const keep = <T extends { close(): Promise<void> | void }>(part: T): T => stack.adopt(part, () => part.close());
  // Nothing is written before there are metrics.
  const journal: Journal = keep(openJournal(config, () => metrics, log));
  const evidence = new EvidenceDirectory(config.dataDir);
  // The cluster is asked about attached agents only, and none attaches before there are ports.
  const fleet: OpenedFleet = openFleet({ config, version, journal, evidence, cluster: () => access.cluster, log });
  // Metrics and notifications come before all those who tell them something.
  const metrics = keep(
    new Metrics({ journal: journal.captures, queries: journal.queries, fleet: fleet.fleet, limits: config, version }),
  );
  const { notifier } = keep(await openNotifier(config, journal.outbox, journal.captures, metrics.ofWebhooks, log));
  const told = { journal, evidence, fleet, metrics, notifier, log };
  const accessEvents = whenAccessChanges(told);
  const access: Access = keep(await openAccess({ config, journal, events: accessEvents, log, surroundings }));
  const { cluster } = access;
  stack.defer(journal.captures.watch(whenCaptureChanges(told, cluster)));
  // The rules are asked for once custody has started.
  const rules = () => schedules.schedules.retentionRules();
  const custody = keep(await openCustody({ ...told, config, schedules: rules, events: whenEvidenceChanges(told) }));
  const nodes = { ask: fleet.askForTypes, attached: () => fleet.fleet.attached(() => true).map(({ node }) => node) };
  const symbols = await openSymbols(`${config.dataDir}/symbols`, config, nodes, (end, seconds) =>
    metrics.symbolsSearched(end, seconds),
  );
  const analysisEvents = whenAnalysisEnds(told, symbols.cache);
  const analysis = keep(openAnalysis(config, { ...told, images: custody.images, symbols, events: analysisEvents }));
  const scheduleDeps = { ...fleet, journal: journal.captures, scheduleJournal: journal.schedules, runs: journal.runs };
  const schedules: OpenedSchedules = keep(
    await openSchedules(config, { ...scheduleDeps, ...(cluster && { cluster }) }, whenRunEnds(told)),
  );
  metrics.watchNotifications(() => notifier.names);
  metrics.watchAccess(access);
  metrics.watchSymbols(symbols);
  metrics.watchSchedules((name) => schedules.schedules.timesOf(name));
  const ports = keep(
    await openPorts({
      ...told,
      ...{ config, version, access, custody, symbols, schedules, analysis },
      record: accessEvents.record,
    }),
  );
  // From here on there are streams: each is told why it ends before its connection does.
  stack.defer(() => fleet.close());
  // And before that, or a run would be missed because its agent had to go. A second time it does nothing.
  stack.defer(() => schedules.close());
  custody.start();
  fleet.start();
  journal.auditCheck.start();
  metrics.becomeReady();
  analysis.start();
  log.info({ listen: config.listen, port: ports.port, data: config.dataDir, version }, 'collector is up');
  const opened = stack.move();
  return {
    ...ports,
    lookAtCertificates: () => access.serving.look(),
    countUnexpected: () => metrics.errorUnexpected(),
    close: () => opened.disposeAsync(),
  };
}
