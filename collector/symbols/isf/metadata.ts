/**
 * What stands at the head of an ISF. The producer must be called dwarf2json and its version be at least 0.8.0: linux.hidden_modules (Volatility
 * 2.28.2) refuses every table of another producer, and linux.kmsg those of dwarf2json up to 0.4.1; 0.9.0 is the version whose content this is. `builder` says who
 * wrote it. Volatility's automagic asks `linux` for its lists of sources.
 */
export function metadataFor(types: 'dwarf' | 'btf', symbols: readonly string[]): Readonly<Record<string, unknown>> {
  const producer = { name: 'dwarf2json', version: '0.9.0', builder: 'kcorder' };
  const linux = { symbols: symbols.map((kind) => ({ kind })), types: [{ kind: types }] };
  return { linux, producer, format: '6.2.0' };
}
