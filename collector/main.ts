import v8 from 'node:v8';
import { causeChain, Fault, faults } from '@kcorder/proto/fault.ts';
import { pino } from 'pino';
import { startCollector } from './collector.ts';
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

process.on('unhandledRejection', giveUp);
try {
  const config = readConfig();
  log.level = config.logLevel;
  const collector = await startCollector(config, log);
  let ending = false;
  const end = (signal: string): void => {
    if (ending) return;
    ending = true;
    log.info({ signal }, 'ending');
    collector.close().then(() => process.exit(0), giveUp);
  };
  process.on('SIGTERM', () => end('SIGTERM'));
  process.on('SIGINT', () => end('SIGINT'));
} catch (error) {
  giveUp(error);
}
