import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { applicationId, indexVersion } from './schema.ts';

/** Opens a file of results to read it, if it is one that was made of this report by this version; undefined otherwise. */
export function openIndex(path: string, reportSha256: string, unmask: boolean): DatabaseSync | undefined {
  if (!existsSync(path)) return undefined;
  const database = new DatabaseSync(path, { readOnly: true, allowExtension: false });
  try {
    const number = (pragma: string): number => Number(database.prepare(`PRAGMA ${pragma}`).get()?.[pragma]);
    const isOurs = number('application_id') === applicationId && number('user_version') === indexVersion;
    const capture = isOurs ? database.prepare('SELECT report_sha256, masked FROM _capture').get() : undefined;
    if (capture?.report_sha256 === reportSha256 && capture.masked === (unmask ? 0 : 1)) {
      database.exec('PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384');
      return database;
    }
  } catch {
    // Damaged, so it is made anew.
  }
  database.close();
  return undefined;
}
