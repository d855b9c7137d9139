import { profiles as product } from '../../../collector/analysis/profiles.ts';

/** A profile, and what asks the same of stock Volatility: one `vol` for each of its plugins. */
export interface BenchProfile {
  readonly name: string;
  /** Ours first, which have no peer and are measured all the same. */
  readonly plugins: readonly string[];
}

/** Plugins that read the whole image. */
const scans: readonly string[] = ['linux.psscan.PsScan', 'linux.sockscan.Sockscan'];

/** Those of the product, and what there are aims for. */
export const profiles: readonly BenchProfile[] = [
  { name: 'first-table', plugins: ['processes'] },
  { name: 'quick', plugins: product.quick },
  { name: 'standard', plugins: product.standard },
  { name: 'deep-without-scans', plugins: product.deep.filter((name) => !scans.includes(name)) },
  { name: 'deep', plugins: product.deep },
];

/** Plugins that stock Volatility has too, each once. */
export const peerPlugins: readonly string[] = product.deep.filter((name) => name.startsWith('linux.'));
