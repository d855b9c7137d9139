import { createServer, type Server } from 'node:http';
import { Fault } from '@kcorder/proto/fault.ts';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Access } from './access.ts';
import type { AnalysisReport } from './analysis/analysis.ts';
import type { CaptureState } from './capture/capture.ts';
import type { Fleet } from './fleet/fleet.ts';
import type { CaptureJournal } from './journal/captures.ts';
import type { SymbolSearch } from './symbols/find.ts';
import type { SymbolsEnd, SymbolsQuality, SymbolsState } from './symbols/symbols.ts';

const phases: readonly CaptureState['phase'][] = ['requested', 'acquiring', 'sealing', 'sealed', 'analyzing'];
const ends: readonly SymbolsEnd['kind'][] = ['ready', 'missing', 'mismatch', 'rejected', 'unsupported'];
const symbolStates: readonly SymbolsState['kind'][] = [...ends, 'building'];
const qualities: readonly SymbolsQuality[] = ['dwarf', 'btf', 'provided'];
const outcomes = ['complete', 'partial', 'failed', 'canceled'] as const;

/** The collector's series. State is read from the journal at scrape, so that a restart neither loses nor invents any. */
export class Metrics {
  readonly registry = new Registry();
  readonly #captures = new Counter({
    name: 'kcorder_captures_ended_total',
    help: 'Captures whose acquisition has ended, by outcome.',
    labelNames: ['outcome'],
    registers: [this.registry],
  });
  readonly #bytes = new Counter({
    name: 'kcorder_evidence_bytes_total',
    help: 'Bytes of memory images made durable.',
    registers: [this.registry],
  });
  readonly #interruptions = new Counter({
    name: 'kcorder_upload_interruptions_total',
    help: 'Uploads that were resumed after a break.',
    registers: [this.registry],
  });
  readonly #faults = new Counter({
    name: 'kcorder_call_faults_total',
    help: 'Calls that ended in a fault, by method and fault code.',
    labelNames: ['method', 'code'],
    registers: [this.registry],
  });
  readonly #plugins = new Counter({
    name: 'kcorder_analysis_plugins_total',
    help: 'Plugin runs by ending: rows, empty, failed.',
    labelNames: ['plugin', 'state'],
    registers: [this.registry],
  });
  readonly #analyses = new Counter({
    name: 'kcorder_analyses_ended_total',
    help: 'Analyses by ending; the reason is empty when done.',
    labelNames: ['state', 'reason'],
    registers: [this.registry],
  });
  readonly #duration = new Histogram({
    name: 'kcorder_capture_duration_seconds',
    help: 'From the request to the end of the acquisition.',
    buckets: [5, 15, 30, 60, 120, 300, 600, 1800, 3600],
    registers: [this.registry],
  });

  readonly #symbolsEnds = new Counter({
    name: 'kcorder_symbols_searches_total',
    help: 'Searches for the symbols of a kernel, by how they ended.',
    labelNames: ['end'],
    registers: [this.registry],
  });
  readonly #symbolsSeconds = new Histogram({
    name: 'kcorder_symbols_search_duration_seconds',
    help: "From the question for a kernel's symbols to their state, builds and downloads included.",
    buckets: [0.01, 0.1, 0.5, 1, 2, 5, 15, 60, 300],
    registers: [this.registry],
  });

  readonly #enrolments = new Counter({
    name: 'kcorder_enrolments_total',
    help: 'Agents that asked for a certificate, by whether they got one.',
    labelNames: ['result'],
    registers: [this.registry],
  });
  readonly #certificateRefusals = new Counter({
    name: 'kcorder_certificate_refusals_total',
    help: 'Certificates or authorities that could not be renewed or read; the last good one stayed in use.',
    registers: [this.registry],
  });
  #ready = false;

  constructor(journal: CaptureJournal, fleet: Fleet, version: string) {
    collectDefaultMetrics({ register: this.registry });
    for (const outcome of outcomes) this.#captures.inc({ outcome }, 0);
    for (const result of ['enrolled', 'refused']) this.#enrolments.inc({ result }, 0);
    new Gauge({
      name: 'kcorder_build_info',
      help: 'Always 1; the version is in the label.',
      labelNames: ['version'],
      registers: [this.registry],
    }).set({ version }, 1);
    new Gauge({
      name: 'kcorder_captures_in_phase',
      help: 'Captures that have not ended, by phase.',
      labelNames: ['phase'],
      registers: [this.registry],
      collect() {
        const open = journal.open();
        for (const phase of phases) this.set({ phase }, open.filter(({ state }) => state.phase === phase).length);
      },
    });
    new Gauge({
      name: 'kcorder_nodes',
      help: 'Known nodes, by whether their agent is attached and whether they can be captured.',
      labelNames: ['online', 'capturable'],
      registers: [this.registry],
      collect() {
        const nodes = fleet.list();
        for (const online of [true, false]) {
          for (const capturable of [true, false]) {
            const matching = nodes.filter(
              (entry) => entry.online === online && (entry.node.refusals.length === 0) === capturable,
            );
            this.set({ online: String(online), capturable: String(capturable) }, matching.length);
          }
        }
      },
    });
  }

  /** Adds the gauges of symbols: kernels of known nodes by state, and the cache. */
  watchSymbols(search: SymbolSearch, fleet: Fleet): void {
    new Gauge({
      name: 'kcorder_node_symbols',
      help: "Known nodes by the state of their kernel's symbols.",
      labelNames: ['state'],
      registers: [this.registry],
      collect() {
        const states = fleet.list().map(({ node }) => search.status(node.kernel).state.kind);
        for (const state of symbolStates) this.set({ state }, states.filter((each) => each === state).length);
      },
    });
    new Gauge({
      name: 'kcorder_symbols_kept',
      help: 'Kernels whose symbols are kept, by what these were made of.',
      labelNames: ['quality'],
      registers: [this.registry],
      collect() {
        const kept = search.cache.list().map(({ entry }) => entry.quality);
        for (const quality of qualities) this.set({ quality }, kept.filter((each) => each === quality).length);
      },
    });
    new Gauge({
      name: 'kcorder_symbols_kept_bytes',
      help: 'Bytes of the symbols that are kept.',
      registers: [this.registry],
      collect() {
        this.set(search.cache.keptBytes);
      },
    });
    for (const end of ends) this.#symbolsEnds.inc({ end }, 0);
  }

  /** Adds the gauges of who gets in: when certificates end, and how old the list of nodes and pods is. */
  watchAccess({ serving, authority, cluster }: Access): void {
    new Gauge({
      name: 'kcorder_certificate_not_after_timestamp_seconds',
      help: 'When the certificate ends, by its use.',
      labelNames: ['use'],
      registers: [this.registry],
      collect() {
        const { notAfter } = serving;
        if (notAfter !== undefined) this.set({ use: 'serving' }, notAfter.getTime() / 1000);
        if (authority !== undefined) this.set({ use: 'authority' }, authority.notAfter.getTime() / 1000);
      },
    });
    if (cluster === undefined) return;
    const startedMs = Date.now();
    new Gauge({
      name: 'kcorder_inventory_age_seconds',
      help: 'Since the list of nodes and pods was last in step with the API server, or since the start.',
      registers: [this.registry],
      collect() {
        this.set((Date.now() - (cluster.inStepAt()?.getTime() ?? startedMs)) / 1000);
      },
    });
  }

  enrolmentEnded(result: 'enrolled' | 'refused'): void {
    this.#enrolments.inc({ result });
  }

  certificateRefused(): void {
    this.#certificateRefusals.inc();
  }

  /** From now on /readyz says so: the collector listens. */
  becomeReady(): void {
    this.#ready = true;
  }

  /** A search for symbols has ended. */
  symbolsSearched(end: SymbolsEnd['kind'], seconds: number): void {
    this.#symbolsEnds.inc({ end });
    this.#symbolsSeconds.observe(seconds);
  }

  captureEnded(outcome: (typeof outcomes)[number], seconds: number): void {
    this.#captures.inc({ outcome });
    this.#duration.observe(seconds);
  }

  bytesDurable(bytes: number): void {
    this.#bytes.inc(bytes);
  }

  uploadResumed(): void {
    this.#interruptions.inc();
  }

  callFaulted(method: string, code: string): void {
    this.#faults.inc({ method, code });
  }

  analysisEnded(report: AnalysisReport): void {
    this.#analyses.inc({ state: report.state, reason: report.reason });
    for (const { name, state } of report.plugins) this.#plugins.inc({ plugin: name, state });
  }

  /** Serves /metrics over HTTP, and for probes /healthz and /readyz; nothing else is there to be read. */
  async listen(address: string): Promise<Server> {
    const server = createServer((request, response) => {
      if (request.method === 'GET' && (request.url === '/healthz' || request.url === '/readyz')) {
        const good = this.#ready || request.url === '/healthz';
        response.writeHead(good ? 200 : 503).end(good ? 'ok\n' : 'starting\n');
        return;
      }
      if (request.method !== 'GET' || request.url !== '/metrics') {
        response.writeHead(404).end();
        return;
      }
      this.registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': this.registry.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
    });
    server.requestTimeout = 10_000;
    const at = address.lastIndexOf(':');
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        reject(
          new Fault('config_invalid', `the metrics cannot be served on ${address}: see whether another program does`, {
            cause: error,
          }),
        );
      });
      server.listen(Number(address.slice(at + 1)), address.slice(0, at), resolve);
    });
    return server;
  }
}

/** Turns what the journal records into counts, from now on. Returns the function that stops it. */
export function countChanges(journal: CaptureJournal, metrics: Metrics): () => void {
  return journal.watch(({ capture, event, addedBytes }) => {
    metrics.bytesDurable(addedBytes);
    const { request, state } = capture;
    if (event?.kind === 'opened' && state.phase === 'acquiring' && state.epoch > 1) metrics.uploadResumed();
    const ended =
      event !== undefined && event.kind !== 'analysis_started' && event.kind !== 'analysis_ended' && 'endedAt' in state;
    if (ended)
      metrics.captureEnded(state.outcome.kind, (Date.parse(state.endedAt) - Date.parse(request.requestedAt)) / 1000);
  });
}
