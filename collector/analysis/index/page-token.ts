import { createHash } from 'node:crypto';
import { Fault } from '@kcorder/proto/fault.ts';
import type { RowQuery } from './query.ts';

/** Names the last row of a page, in the results and for the query that the page is of. */
export function makePageToken(query: RowQuery, reportSha256: string, rowid: number): string {
  return `${digestOf(query, reportSha256)}-${rowid}`;
}

/** The row after which the page begins; undefined for the first page. Throws invalid_argument for a token of another query or other results. */
export function readPageToken(query: RowQuery, reportSha256: string): number | undefined {
  if (query.pageToken === '') return undefined;
  const [, digest, rowid] = /^([0-9a-f]{16})-(\d{1,12})$/.exec(query.pageToken) ?? [];
  if (rowid !== undefined && digest === digestOf(query, reportSha256)) return Number(rowid);
  throw new Fault(
    'invalid_argument',
    'the page_token is of another query, or the capture was analyzed again since: begin again without it',
  );
}

/** The size of a page may change from page to page. */
function digestOf(query: RowQuery, reportSha256: string): string {
  const { pageSize: _size, pageToken: _token, ...asked } = query;
  return createHash('sha256')
    .update(JSON.stringify([reportSha256, asked]))
    .digest('hex')
    .slice(0, 16);
}
