/** What schema 6.2.0 has as the kind of a source (volatility3/schemas/schema-6.2.0.json, metadata_nix_item). */
const knownKinds = ['dwarf', 'symtab', 'system-map'];

/**
 * What stands at the head of an ISF. The producer must be called dwarf2json and its version be at least 0.8.0: linux.hidden_modules (Volatility
 * 2.28.2) refuses every table of another producer, and linux.kmsg those of dwarf2json up to 0.4.1; 0.9.0 is the version whose content this is. `builder` says who
 * wrote it. Volatility's automagic asks `linux` for its lists of sources; where jsonschema is installed, a source of a kind that the schema
 * does not have makes Volatility refuse the whole file, so that others stand there by name.
 */
export function metadataFor(types: 'dwarf' | 'btf', symbols: readonly string[]): Readonly<Record<string, unknown>> {
  const producer = { name: 'dwarf2json', version: '0.9.0', builder: 'kcorder' };
  const linux = { symbols: symbols.map(sourceOf), types: [sourceOf(types)] };
  return { linux, producer, format: '6.2.0' };
}

function sourceOf(source: string): { readonly kind: string } | { readonly name: string } {
  return knownKinds.includes(source) ? { kind: source } : { name: source };
}
