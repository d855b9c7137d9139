import { causeChain, Fault, faults } from '@kcorder/proto/fault.ts';
import { pino } from 'pino';
import { runAgent } from './agent.ts';
import { readConfig } from './config.ts';
import { realSystem } from './system.ts';
import { requireModernTls } from './tls.ts';

// grpc-js names the collector to TLS also when it is an IP address, which Node then warns of in every log.
process.noDeprecation = true;

async function main(): Promise<void> {
  requireModernTls();
  const config = readConfig();
  const log = pino({ name: 'kcorder-agent', level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  const ending = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      log.info({ signal: name }, 'ending');
      ending.abort();
    });
  }
  await runAgent(config, realSystem(config.hostRoot), log, ending.signal);
  log.info('ended');
}

main().then(
  // Timers inside the transport would keep the process for a while.
  () => process.exit(0),
  (error: unknown) => {
    const fault = Fault.from(error);
    const [, ...causes] = causeChain(fault);
    process.stderr.write(`${[fault.message, ...causes].join('\n')}\n`);
    process.exit(faults[fault.code].exit);
  },
);
