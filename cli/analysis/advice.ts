const hostile = 'A crafted image can do this: treat the node as hostile; then kcorder analyze it once more.';

/** What to do about how a plugin was ended, by the first word of the reason; the errors of plugins have none. */
const advice: ReadonlyMap<string, string> = new Map([
  ['timeout', 'Raise KCORDER_PLUGIN_SECONDS of the collector, then kcorder analyze it again.'],
  ['out_of_memory', 'Raise KCORDER_ANALYSIS_MEMORY_BYTES of the collector, then kcorder analyze it again.'],
  ['output_limit', 'Download the image and run the plugin by hand.'],
  ['protocol', hostile],
  ['signal', hostile],
  ['exit', hostile],
]);

/** A reason of the collector, with a sentence of what to do where there is one. */
export function withAdvice(reason: string): string {
  const todo = advice.get(/^(\w+)( \w+)?$/.exec(reason)?.[1] ?? '');
  return todo === undefined ? reason : `${reason}. ${todo}`;
}
