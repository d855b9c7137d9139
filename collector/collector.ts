import { join } from 'node:path';
import tls from 'node:tls';
import { pathOf } from '@kcorder/proto/bridge/definition.ts';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import { openAccess, type Surroundings } from './access.ts';
import { createAnalysis } from './analysis/analyze.ts';
import { defaultLimits } from './analysis/limits.ts';
import { AnalysisQueue } from './analysis/queue.ts';
import { RefusalLog } from './api/door/refusal-log.ts';
import { enrolmentHandlers } from './api/enrolment.ts';
import { evidenceHandlers } from './api/evidence.ts';
import { Gate } from './api/gate.ts';
import { operatorHandlers } from './api/operator.ts';
import { scheduleHandlers } from './api/schedules.ts';
import { listen } from './api/server.ts';
import { symbolsHandlers } from './api/symbols.ts';
import type { Config } from './config.ts';
import { EvidenceDirectory } from './evidence/evidence-directory.ts';
import { CaptureSlots } from './fleet/capture-slots.ts';
import { Captures } from './fleet/captures.ts';
import { Fleet } from './fleet/fleet.ts';
import { askForTypes } from './fleet/kernel-types.ts';
import { startWatchdog } from './fleet/watchdog.ts';
import { addressOf } from './identity/network.ts';
import { Acquisitions } from './ingest/acquisitions.ts';
import { TypesTransfers } from './ingest/kernel-types.ts';
import { Approvals } from './journal/approvals.ts';
import { AuditCheck } from './journal/audit-check.ts';
import { CaptureJournal } from './journal/captures.ts';
import { onWriteFailure, openDatabase } from './journal/database.ts';
import { JoinTokens } from './journal/join-tokens.ts';
import { MetricQueries } from './journal/metric-queries.ts';
import { NodeJournal } from './journal/nodes.ts';
import { quarantined } from './journal/quarantine.ts';
import { Reanalyses } from './journal/reanalyses.ts';
import { Metrics } from './metrics/metrics.ts';
import { openRecorder } from './recorder.ts';
import { offerSymbols } from './symbols/offer.ts';
import { openSymbols } from './symbols/open.ts';
import { warmSymbols } from './symbols/warm.ts';
import { version } from './version.ts';

/** A collector that works. */
export interface Collector {
  readonly port: number;
  /** 0 when it is not offered. */
  readonly apiPort: number;
  /** Looks at certificates and authorities now; it is done every 15 s by itself. */
  lookAtCertificates(): Promise<void>;
  /** Ends within 20 s. Running captures go on when a collector is started again on the same data. */
  close(): Promise<void>;
}

/**
 * Starts a collector: opens the journal, takes up what a killed collector left, listens. Throws config_invalid, database_unusable,
 * storage_failed.
 */
export async function startCollector(config: Config, log: Logger, surroundings: Surroundings = {}): Promise<Collector> {
  // grpc-js has no setting of its own for this.
  tls.DEFAULT_MIN_VERSION = 'TLSv1.3';
  const complain = (what: string) => (error: unknown) => log.error({ causes: causeChain(error) }, what);
  const database = openDatabase(config.dataDir);
  for (const { source, why, count } of quarantined(database))
    log.warn(
      { table: source, why, rows: count },
      'rows of the database are in quarantine: they cannot be what they say',
    );
  const journal = new CaptureJournal(database, config, complain('a capture is left out of the list'));
  const fleet: Fleet = new Fleet(new NodeJournal(database), (node) => cluster?.strangeness(node));
  const evidence = new EvidenceDirectory(config.dataDir);
  const again = new Reanalyses(database);
  const metrics = new Metrics({ journal, queries: new MetricQueries(database), fleet, limits: config, version });
  onWriteFailure(database, () => metrics.journalWriteFailed());
  const auditCheck = new AuditCheck(journal.audit, {
    checked: (verdict, whole) => {
      metrics.auditChecked(verdict, whole);
      const { head, broken } = verdict;
      // Where it cannot be taken back: what was in a log outside of here shows later that records were cut off.
      if (broken === undefined) log.info({ records: head.seq, sha256: head.hash, whole }, 'audit log followed');
      else log.error({ record: broken.seq, detail: broken.detail }, 'the audit log is not what was written');
    },
    failed: complain('the audit log could not be checked'),
  });
  const joinTokens = new JoinTokens(database);
  const access = await openAccess(
    config,
    joinTokens,
    (actor, action, detail) => {
      metrics.enrolmentEnded(action === 'enrolled' ? 'enrolled' : 'refused');
      journal.recordAct(actor, action, detail);
    },
    {
      nodeGone: (uid, name) => {
        log.info({ node: name, uid }, 'node is gone');
        fleet.detach(uid, new Fault('unauthenticated', `node ${name} (${uid}) is not part of the cluster any more`));
      },
      certificateRefused: () => metrics.certificateRefused(),
    },
    log,
    surroundings,
  );
  const { cluster } = access;
  metrics.watchAccess(access);
  const acquisitions = new Acquisitions(journal, evidence, version, (nodeName) => {
    const asOf = cluster?.inStepAt()?.toISOString();
    return cluster === undefined || asOf === undefined
      ? undefined
      : { containers: cluster.containersOn(nodeName), asOf };
  });
  const slots = new CaptureSlots(journal, fleet, config);
  const approvals = new Approvals(database);
  const captures = new Captures({ journal, acquisitions, evidence, fleet, slots, approvals, limits: config });
  const recorder = await openRecorder({
    ...{ config, database, journal, again, directory: evidence, fleet, slots, captures, metrics, log },
    ...(cluster && { cluster }),
  });
  const { custody, findings } = recorder;
  const { storage, images } = custody;
  const typesTransfers = new TypesTransfers();
  const symbols = await openSymbols(
    join(config.dataDir, 'symbols'),
    config,
    (digest, directory, signal) => askForTypes(fleet, typesTransfers, digest, directory, signal),
    (end, seconds) => metrics.symbolsSearched(end, seconds),
  );
  metrics.watchSymbols(symbols);
  const ending = new AbortController();
  const warmUp = warmSymbols(symbols, ending.signal, log);
  const runner = { python: config.python, entry: join(import.meta.dirname, 'analysis', 'volatility', 'run.py') };
  const limits = { ...defaultLimits, memoryBytes: config.analysisMemoryBytes, pluginWallMs: config.pluginMs };
  const analysis = createAnalysis(runner, limits, { mustBeConfined: config.analysisMustBeConfined });
  const queue = new AnalysisQueue({
    ...{ journal, again, evidence, images, symbols, analysis },
    events: {
      analyzed: async (capture, report) => {
        await recorder.analyzed(capture, report);
        const { kernel, symbols: used, kernelMismatch } = report;
        if (kernel === undefined || used === undefined || kernelMismatch) return;
        const failed = complain('the banner of an image could not be noted');
        await symbols.cache.noteImageBanner(used.isfSha256, kernel.banner).catch(failed);
      },
      again: recorder.analyzedAgain,
      failed: (captureId, error) => log.error({ capture: captureId, causes: causeChain(error) }, 'analysis broke down'),
    },
  });
  const stopWakingAgain = again.watch(() => queue.wake());
  const stopWaking = journal.watch(({ capture, event }) => {
    if (event === undefined) return;
    queue.wake();
    slots.give();
    cluster?.tell(capture()).catch(complain('an Event could not be put on a node or pod'));
  });
  const stopWatchdog = startWatchdog({
    journal,
    acquisitions,
    timeouts: config,
    waits: (id) => slots.waits(id),
    report: complain('a capture could not be ended'),
  });
  await metrics.listen(config.metricsListen);
  const offer = config.symbolsListen === '' ? undefined : await offerSymbols(symbols.cache, config.symbolsListen);
  const gate = new Gate(cluster?.reviewer, access.serving.peers);
  const admitToPods = gate.admitToPods.bind(gate);
  const refusals = new RefusalLog(({ address, reason, count, first }) =>
    log.warn({ ...first, address, code: reason, count }, 'call ended in a fault'),
  );
  const server = await listen({ agents: config.listen, api: config.apiListen }, access.serving, {
    version,
    fleet,
    acquisitions,
    attachmentEvents: {
      attached: (agent, running) => {
        log.info({ node: agent.node.name, agent: agent.node.agentVersion, running }, 'agent attached');
        warmUp(agent.node);
        recorder.schedules.agentAttached();
        captures.agentAttached(agent, running).catch(complain('an agent that attached could not be followed up'));
      },
      heard: (node, running) => {
        captures.agentHeard(node, running).catch(complain('a heartbeat could not be followed up'));
      },
      refused: (node, captureId, detail) => {
        if (captures.agentRefused(node, captureId, detail))
          log.warn({ node: node.name, capture: captureId, detail }, 'order refused');
      },
    },
    typesTransfers,
    gate,
    checkNode: (node) => {
      const why = cluster?.strangeness(node);
      if (why !== undefined) throw new Fault('unauthenticated', why);
    },
    enrolment: enrolmentHandlers({
      ...access,
      ...(config.joinTokens && { joinTokens }),
      record: (actor, action, detail) => {
        if (action === 'certificate_renewed') metrics.enrolmentEnded('enrolled');
        journal.recordAct(actor, action, detail);
      },
    }),
    evidence: evidenceHandlers({ journal, auditCheck, evidence, ...custody }),
    schedule: scheduleHandlers(recorder.schedules.schedules, admitToPods),
    operator: operatorHandlers({
      version,
      journal,
      captures,
      acquisitions,
      evidence,
      storage,
      images,
      again,
      findings,
      fleet,
      symbols,
      approvals,
      waits: (id) => slots.waits(id),
      admitToPods,
      ...(cluster && { places: cluster }),
    }),
    symbols: symbolsHandlers({ search: symbols, fleet, journal }),
    connectionEnded: (peer, why) => log.info({ peer, why }, 'connection ended: its certificate does not hold any more'),
    connectionRefused: ({ address, peer }, reason) => {
      metrics.connectionRefused(reason);
      refusals.note(address, reason, { peer });
    },
    refused: ({ path, peer, peerNames }, { code, message, cause }) => {
      metrics.callFaulted(path, code);
      refusals.note(addressOf(peer), code, { method: path, peer: peerNames, message, causes: causeChain(cause) });
    },
    ended: ({ method, peer, peerNames }, fault) => {
      if (fault === undefined) return;
      const { code, message } = fault;
      metrics.callFaulted(pathOf(method), code);
      const causes = causeChain(fault.cause);
      const what = { method: pathOf(method), peer: peerNames, message, causes };
      refusals.note(addressOf(peer), code, what);
    },
  });
  auditCheck.start();
  metrics.becomeReady();
  queue.wake();
  log.info({ listen: config.listen, port: server.port, data: config.dataDir, version }, 'collector is up');
  return {
    port: server.port,
    apiPort: server.apiPort,
    lookAtCertificates: () => access.serving.look(),
    close: async () => {
      stopWatchdog();
      access.close();
      ending.abort(new Fault('unavailable', 'the collector is ending'));
      recorder.schedules.close();
      await acquisitions.close();
      fleet.detachAll(new Fault('unavailable', 'the collector is ending: retry in a moment'));
      await Promise.all([server.close(), queue.close()]);
      await auditCheck.close();
      await recorder.close();
      stopWaking();
      stopWakingAgain();
      metrics.close();
      offer?.closeAllConnections();
      offer?.close();
      refusals.close();
      database.close();
    },
  };
}
