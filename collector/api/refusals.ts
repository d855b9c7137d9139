import { pathOf } from '@kcorder/proto/bridge/definition.ts';
import { causeChain } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import { addressOf } from '../identity/network.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { RefusalLog } from './door/refusal-log.ts';
import type { ServerEvents } from './server.ts';

/** Reactions to connections and calls that came to nothing. */
export interface RefusalReactions extends ServerEvents {
  close(): void;
}

/** A connection or a call was refused, or ended in a fault: it is counted, and the log gets the first of each kind. */
export function whenCallIsRefused(metrics: Metrics, log: Logger): RefusalReactions {
  const refusals = new RefusalLog(({ address, reason, count, first }) =>
    log.warn({ ...first, address, code: reason, count }, 'call ended in a fault'),
  );
  return {
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
    close: () => refusals.close(),
  };
}
