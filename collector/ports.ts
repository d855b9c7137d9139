import { type ApiDeps, openApi } from './api/open.ts';
import type { RunningServer } from './api/server.ts';
import type { Config } from './config.ts';
import { whenAgentAttaches } from './reactions/agent-attached.ts';
import { offerSymbols } from './symbols/offer.ts';

/** Everything the ports serve. */
export interface PortsDeps extends Omit<ApiDeps, 'agents'> {
  readonly config: Config;
}

/** Opens every port, that of metrics first and those of agents and people last. Throws config_invalid when an address cannot be used. */
export async function openPorts(deps: PortsDeps): Promise<RunningServer> {
  const { config, fleet, schedules, metrics, symbols, log } = deps;
  await using opened = new AsyncDisposableStack();
  // It closes with the metrics, later than the others: a collector that is ending is still watched.
  await metrics.listen(config.metricsListen);
  if (config.symbolsListen !== '') {
    const offer = await offerSymbols(symbols.cache, config.symbolsListen);
    opened.defer(() => {
      offer.closeAllConnections();
      offer.close();
    });
  }
  const agents = whenAgentAttaches({ captures: fleet.captures, schedules, symbols, log });
  opened.defer(() => agents.close());
  const api = await openApi({ ...deps, agents });
  opened.defer(() => api.close());
  const owned = opened.move();
  return { ...api, close: () => owned.disposeAsync() };
}
