import type { PluginReport } from '../../collector/analysis/analysis.ts';

const smear = /^nothing found, but not everything was readable: /;
/** Of a recorded node, which was otherwise left alone. */
const smearOfLists = new RegExp(
  `${smear.source}(The (maple tree of a process's mappings|task list) is broken|Links of the task list that lead to no process)`,
);

/** Returns the plugins that failed, but for those that found nothing in lists that changed while the memory was read: any node can have these. */
export function failedUnlessSmeared(plugins: readonly PluginReport[]): PluginReport[] {
  return plugins.filter(({ state, reason }) => state === 'failed' && !smearOfLists.test(reason));
}

/**
 * Tells a plugin that failed because of what changed while the memory of a busy node was read from any other failure. There are many such sentences,
 * and a slow node brings each about in time; a plugin that cannot be empty on a running node has another one.
 */
export function isSmear(reason: string): boolean {
  return smear.test(reason);
}
