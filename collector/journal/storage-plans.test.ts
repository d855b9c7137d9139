import { expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { openDatabase } from './database.ts';

test.each([
  {
    what: 'what is to be kept',
    sql: `SELECT storage.*, captures.state FROM storage JOIN captures ON id = capture_id WHERE place = 'spool' AND (sealed_at <= '8' OR sealed_at > '9') AND (phase = 'done' OR (phase = 'sealed' AND 1)) ORDER BY sealed_at LIMIT 1`,
    by: 'storage_by_place',
    ordered: true,
  },
  {
    what: 'what is to be tidied',
    sql: `SELECT * FROM storage WHERE leftovers = 1 AND place = 'store'`,
    by: 'storage_to_tidy',
    ordered: false,
  },
  {
    what: 'what is to be verified',
    sql: `SELECT storage.*, captures.state FROM storage JOIN captures ON id = capture_id WHERE place = 'store' AND max(sealed_at, checked_at) <= '9' ORDER BY max(sealed_at, checked_at) LIMIT 1`,
    by: 'storage_to_verify',
    ordered: true,
  },
  {
    what: 'who made what',
    sql: `SELECT DISTINCT schedule, node_name FROM storage WHERE place IN ('spool', 'store')`,
    by: 'storage_by_maker',
    ordered: false,
  },
  {
    what: 'what one made',
    sql: `SELECT * FROM storage WHERE storage.schedule = 's' AND storage.node_name = 'n' AND place IN ('spool', 'store') ORDER BY sequence`,
    by: 'storage_by_maker',
    ordered: false,
  },
  {
    what: 'the sum of a node',
    sql: `SELECT sum(stored_bytes) FROM storage WHERE place <> 'deleted' AND node_name = 'n'`,
    by: 'storage_by_node',
    ordered: false,
  },
  {
    what: 'the sum of all',
    sql: `SELECT sum(stored_bytes) FROM storage WHERE place <> 'deleted'`,
    by: 'storage_by_node',
    ordered: false,
  },
])('$what is found by an index and not by looking through all', ({ sql, by, ordered }) => {
  using scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  const plan = database
    .prepare(`EXPLAIN QUERY PLAN ${sql}`)
    .all()
    .map(({ detail }) => String(detail));
  expect(plan.join('; ')).toContain(by);
  expect(plan.join('; ')).not.toMatch(/SCAN storage$/m);
  if (ordered) expect(plan.join('; ')).not.toContain('USE TEMP B-TREE FOR ORDER BY');
  database.close();
});
