import { X509Certificate } from 'node:crypto';
import type { Access } from '../access.ts';
import type { NodeSeries } from './node-series.ts';
import { replace, type Scrape } from './scrape.ts';

const enrolMethod = '/kcorder.v1.EnrolmentService/Enrol';
/** With which a request for a certificate can end; others are counted when they come. */
const refusalCodes = [
  'unauthenticated',
  'permission_denied',
  'invalid_argument',
  'cluster_unavailable',
  'resource_exhausted',
  'unimplemented',
];

const connectionReasons = ['too_many', 'too_fast', 'silent', 'idle', 'failures', 'answers_not_taken'];

/** Who gets in, and how the collector shows who it is. */
export class AccessSeries {
  readonly #scrape: Scrape;
  readonly #enrolments;
  readonly #refusals;
  readonly #certificates;
  readonly #faults;
  readonly #connections;

  constructor(scrape: Scrape) {
    this.#scrape = scrape;
    this.#enrolments = scrape.counter(
      'kcorder_enrolments_total',
      'Agents that asked for a certificate, by whether they got one, as it is on record.',
      ['result'],
    );
    this.#refusals = scrape.counter(
      'kcorder_enrolment_refusals_total',
      'Requests for a certificate that were refused, by fault code.',
      ['code'],
    );
    this.#certificates = scrape.counter(
      'kcorder_certificate_refusals_total',
      'Certificates or authorities that could not be renewed or read; the last good one stayed in use.',
    );
    this.#faults = scrape.counter(
      'kcorder_call_faults_total',
      'Calls that ended in a fault, by method and fault code; a pair is there once it has come.',
      ['method', 'code'],
    );
    this.#connections = scrape.counter(
      'kcorder_connection_refusals_total',
      'Connections that were not taken or were ended for the sake of the others, by reason.',
      ['reason'],
    );
    for (const reason of connectionReasons) this.#connections.inc({ reason }, 0);
    for (const result of ['enrolled', 'refused']) this.#enrolments.inc({ result }, 0);
    for (const code of refusalCodes) this.#refusals.inc({ code }, 0);
  }

  connectionRefused(reason: string): void {
    this.#connections.inc({ reason });
  }

  enrolmentEnded(result: 'enrolled' | 'refused'): void {
    this.#enrolments.inc({ result });
  }

  certificateRefused(): void {
    this.#certificates.inc();
  }

  callFaulted(method: string, code: string): void {
    this.#faults.inc({ method, code });
    // All of them: on record is no more than the first minute of a flood.
    if (method === enrolMethod) this.#refusals.inc({ code });
  }

  /** Adds when certificates end, and what the cluster is known by. */
  watch({ serving, authority, cluster }: Access, nodes: NodeSeries): void {
    const begin = this.#scrape.gauge(
      'kcorder_certificate_not_before_timestamp_seconds',
      'From when the certificate holds, by its use.',
      ['use'],
    );
    const end = this.#scrape.gauge(
      'kcorder_certificate_not_after_timestamp_seconds',
      'When the certificate ends, by its use.',
      ['use'],
    );
    this.#scrape.read(() => {
      const { current } = serving.identity;
      const own = current && new X509Certificate(current.certificate);
      replace(begin, [[{ use: 'serving' }, own && own.validFromDate.getTime() / 1000]]);
      replace(end, [
        [{ use: 'serving' }, own && own.validToDate.getTime() / 1000],
        [{ use: 'authority' }, authority && authority.notAfter.getTime() / 1000],
      ]);
    });
    if (cluster === undefined) return;
    nodes.expect(() => cluster.agentsExpected());
    const startedMs = Date.now();
    const inStep = this.#scrape.gauge(
      'kcorder_inventory_in_step_timestamp_seconds',
      'When the list of nodes and pods was last in step with the API server; the start until then.',
    );
    this.#scrape.read(() => inStep.set((cluster.inStepAt()?.getTime() ?? startedMs) / 1000));
  }
}
