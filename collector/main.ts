import v8 from 'node:v8';
import { causeChain, Fault, faults } from '@kcorder/proto/fault.ts';
import { pino } from 'pino';
import { type Collector, startCollector } from './collector.ts';
import { readConfig } from './config.ts';
import { failuresOf } from './failures.ts';

// Otherwise V8 collects its whole heap for every 64 MB of network buffers, and spends more on that than on everything else.
v8.setFlagsFromString('--external-memory-accounted-in-global-limit');
const log = pino({ name: 'kcorder-collector' }, pino.destination({ dest: 2, sync: true }));

function giveUp(error: unknown): never {
  const [first, ...others] = failuresOf(error);
  for (const other of others) log.error({ causes: causeChain(other) }, 'a part of the collector could not be closed');
  const fault = Fault.from(first);
  log.fatal({ code: fault.code, causes: causeChain(first) }, fault.message);
  process.exit(faults[fault.code].exit);
}

let collector: Collector | undefined;
// An error that a node or a caller can bring about must not end the collector for all the others.
process.on('unhandledRejection', (error) => {
  if (collector === undefined) giveUp(error);
  collector.countUnexpected();
  log.error({ causes: causeChain(error) }, 'an error that nothing waited for: report it, it is a bug');
});
try {
  const config = readConfig();
  log.level = config.logLevel;
  const started = await startCollector(config, log);
  collector = started;
  let ending = false;
  const end = (signal: string): void => {
    if (ending) return;
    ending = true;
    log.info({ signal }, 'ending');
    started.close().then(() => process.exit(0), giveUp);
  };
  process.on('SIGTERM', () => end('SIGTERM'));
  process.on('SIGINT', () => end('SIGINT'));
} catch (error) {
  giveUp(error);
}
