import { join } from 'node:path';

/** The second has values that the first has masked, and is made for those alone who may see them. */
const fileNames = { masked: 'results.sqlite', unmasked: 'results-unmasked.sqlite' };

/** Where the results in a directory are as one SQLite file. */
export function indexPath(outputDir: string, unmask: boolean): string {
  return join(outputDir, unmask ? fileNames.unmasked : fileNames.masked);
}
