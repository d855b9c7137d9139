import type { Logger } from 'pino';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { OpenedFleet } from '../fleet/open.ts';
import type { Journal } from '../journal/open.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Notifier } from '../notify/notifier.ts';

/** The parts that most reactions reach. */
export interface Told {
  readonly journal: Journal;
  readonly evidence: EvidenceDirectory;
  readonly fleet: OpenedFleet;
  readonly metrics: Metrics;
  readonly notifier: Notifier;
  readonly log: Logger;
}
