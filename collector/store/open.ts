import { join } from 'node:path';
import type { GcsBucket } from './gcs.ts';
import { LocalStore } from './local-store.ts';
import type { EvidenceStore } from './store.ts';

/** Opens the store that the settings name. Google's SDK is loaded only for a bucket. Asks no store anything yet. */
export async function openStore(
  settings: GcsBucket & { readonly kind: EvidenceStore['kind'] },
  dataDir: string,
): Promise<EvidenceStore> {
  switch (settings.kind) {
    case 'local':
      return new LocalStore(join(dataDir, 'evidence'));
    case 'gcs': {
      const { openGcs } = await import('./gcs.ts');
      return openGcs(settings, dataDir);
    }
  }
}
