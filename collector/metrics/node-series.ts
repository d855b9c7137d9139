import type { Fleet } from '../fleet/fleet.ts';
import { type Scrape, setOrRemove } from './scrape.ts';

type Entry = ReturnType<Fleet['list']>[number];

/** A node whose agent was not heard for so long is taken to be gone, where no cluster says which nodes there are. */
const goneAfterMs = 7 * 24 * 3_600_000;

/** The nodes and their agents. */
export class NodeSeries {
  readonly #fleet: Fleet;
  #entries: readonly Entry[] = [];
  #current: ReadonlySet<string> = new Set();
  #agentsExpected: () => number | undefined = () => this.#current.size;

  constructor(scrape: Scrape, fleet: Fleet) {
    this.#fleet = fleet;
    const nodes = scrape.gauge(
      'kcorder_nodes',
      'Known nodes, by whether their agent is attached and whether they can be captured.',
      ['online', 'capturable'],
    );
    const attached = scrape.gauge('kcorder_agents_attached', 'Agents that are attached.');
    const expected = scrape.gauge(
      'kcorder_agents_expected',
      'Agents that there should be: what the DaemonSet wants, and without a cluster the nodes whose agent was there in the last seven days.',
    );
    scrape.read(() => {
      this.#look();
      for (const online of [true, false]) {
        for (const capturable of [true, false]) {
          const count = this.#entries.filter(
            (entry) => entry.online === online && (entry.node.refusals.length === 0) === capturable,
          ).length;
          nodes.set({ online: String(online), capturable: String(capturable) }, count);
        }
      }
      attached.set(this.#entries.filter(({ online }) => online).length);
      setOrRemove(expected, this.#agentsExpected());
    });
  }

  /** Every known node, as of this scrape. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Names of the nodes that are there, as far as is known as of this scrape. */
  get current(): ReadonlySet<string> {
    return this.#current;
  }

  /** Who knows how many agents there should be. */
  expect(agents: () => number | undefined): void {
    this.#agentsExpected = agents;
  }

  #look(): void {
    this.#entries = this.#fleet.list();
    const since = new Date(Date.now() - goneAfterMs).toISOString();
    const current = this.#entries.filter(({ online, node }) => online || node.lastSeenAt > since);
    this.#current = new Set(current.map(({ node }) => node.name));
  }
}
