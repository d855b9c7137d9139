// A collector's notifier alone: node notify-runner.ts DATA_DIR WEBHOOKS_FILE [CAPTURE_ID…] tells that the evidence of these was deleted.
import { pino } from 'pino';
import { CaptureJournal } from '../../journal/capture-journal.ts';
import { openDatabase } from '../../journal/database.ts';
import { Outbox } from '../../journal/outbox.ts';
import { openNotifier } from '../open.ts';

const [dataDir = '', webhooksFile = '', ...captureIds] = process.argv.slice(2);
const database = openDatabase(dataDir);
// Later, when it is on disk.
const attempted = (_webhook: string, result: string) => void setImmediate(() => process.stdout.write(`${result}\n`));
const counts = { attempted, reloadFailed: () => undefined };
const log = pino({ level: 'silent' });
const captures = new CaptureJournal(database);
const { notifier } = await openNotifier({ webhooksFile, clusterName: '' }, new Outbox(database), captures, counts, log);
for (const captureId of captureIds) notifier.tell({ kind: 'evidence_deleted', captureId, by: 'operator/alice' });
process.stdout.write('told\n');
setInterval(() => undefined, 60_000);
