// Why it is done this way: docs/decisions/024-agents-listen-on-nothing.md

import { X509Certificate } from 'node:crypto';
import { oneRequestServer } from '@kcorder/proto/bounds/one-request.ts';
import { sharedAnswer } from '@kcorder/proto/bounds/shared-answer.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { PreflightReason } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Counters } from './counters.ts';

/** What the metrics are taken of, at each scrape. */
export interface AgentFacts {
  readonly version: string;
  readonly counters: Counters;
  readonly windowBytes: number;
  /** PEM of the certificate in use; undefined before the first. */
  certificate(): Buffer | undefined;
  /** What stands in the way of a capture now. */
  refusals(): readonly { readonly reason: PreflightReason }[];
}

/** Reads something new at each scrape. */
type Read = () => number;

/** The agent's series; nothing in them names a pod or a capture. */
export function agentRegistry({ version, counters, windowBytes, certificate, refusals }: AgentFacts): Registry {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, read: Read): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  const counter = (name: string, help: string, read: Read): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  };
  new Gauge({
    name: 'kcorder_agent_build_info',
    help: 'Always 1; the version is in the label.',
    labelNames: ['version'],
    registers,
  }).set({ version }, 1);
  gauge('kcorder_agent_attached', '1 while the collector has welcomed this agent, else 0.', () =>
    Number(counters.attached),
  );
  gauge('kcorder_agent_captures_running', 'Captures that run.', () => counters.capturesRunning);
  counter('kcorder_agent_read_bytes_total', 'Bytes of memory that AVML has handed over.', () => counters.readBytes);
  counter(
    'kcorder_agent_sent_bytes_total',
    'Bytes of images sent, those that were sent again included.',
    () => counters.sentBytes,
  );
  counter('kcorder_agent_upload_resumptions_total', 'Uploads that went on after a break.', () => counters.resumptions);
  gauge(
    'kcorder_agent_window_bytes',
    'Bytes that are read and not yet durable at the collector.',
    () => counters.heldBytes,
  );
  gauge('kcorder_agent_window_size_bytes', 'How many these can be before AVML has to wait.', () => windowBytes);
  new Counter({
    name: 'kcorder_agent_avml_exits_total',
    help: 'How AVML ended: ok, failed (an exit code other than 0), signal.',
    labelNames: ['result'],
    registers,
    collect() {
      this.reset();
      for (const [result, count] of Object.entries(counters.exits)) this.inc({ result }, count);
    },
  });
  new Gauge({
    name: 'kcorder_agent_preflight_refusals',
    help: 'What stands in the way of a capture, by reason: 1 or 0.',
    labelNames: ['reason'],
    registers,
    collect() {
      const present = new Set(refusals().map(({ reason }) => reason));
      for (const [name, reason] of Object.entries(PreflightReason))
        if (typeof reason === 'number') this.set({ reason: name.toLowerCase() }, present.has(reason) ? 1 : 0);
    },
  });
  const moment = (name: string, help: string, of: (parsed: X509Certificate) => Date): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const pem = certificate();
        if (pem === undefined) this.remove();
        else this.set(of(new X509Certificate(pem)).getTime() / 1000);
      },
    });
  };
  moment(
    'kcorder_agent_certificate_not_before_timestamp_seconds',
    "From when the agent's certificate holds; not there before the first.",
    ({ validFromDate }) => validFromDate,
  );
  moment(
    'kcorder_agent_certificate_not_after_timestamp_seconds',
    "When the agent's certificate ends; not there before the first.",
    ({ validToDate }) => validToDate,
  );
  return registry;
}

/** Serves GET /metrics on host:port, and nothing else. Returns the function that ends it. Throws config_invalid when the port is taken. */
export async function serveAgentMetrics(address: string, facts: AgentFacts): Promise<() => void> {
  const registry = agentRegistry(facts);
  const answer = sharedAnswer(() => registry.metrics(), registry.contentType);
  const server = oneRequestServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    answer(response);
  });
  server.maxConnections = 16;
  // A peer that takes nothing of its answer for so long is gone.
  server.setTimeout(10_000);
  server.unref();
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const advice = 'see whether another program does, or choose another address with KCORDER_METRICS_LISTEN';
      reject(new Fault('config_invalid', `the metrics cannot be served on ${address}: ${advice}`, { cause }));
    });
    server.listen(Number(address.slice(at + 1)), host, resolve);
  });
  return () => {
    server.closeAllConnections();
    server.close();
  };
}
