import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { columnNames, quoted, tableNames } from './names.ts';
import { rowTable } from './schema.ts';

test.each([
  ['a plugin of Volatility', ['linux.pslist.PsList'], ['linux_pslist_PsList']],
  ['one of ours', ['hiddenModules'], ['hiddenModules']],
  ['two that would have one name', ['a.b_c', 'a_b.c', 'A.B.C'], ['a_b_c', 'a_b_c_2', 'A_B_C_3']],
  ['one that SQLite keeps for itself', ['sqlite_master'], ['plugin_sqlite_master']],
  ['one that looks like a table of ours', ['_plugins'], ['plugin__plugins']],
  ['one that is no name', ['"; DROP TABLE x; --'], ['plugin____DROP_TABLE_x____']],
])('table of %s', (_what, plugins, tables) => {
  expect(tableNames(plugins)).toEqual(tables);
});

test.each([
  ['the titles of Volatility', ['OFFSET (V)', 'MAJOR:MINOR'], ['OFFSET (V)', 'MAJOR:MINOR']],
  ['two that differ in case alone', ['Name', 'NAME'], ['Name', 'NAME_2']],
  ['one that we have ourselves', ['Pod', 'placement'], ['Pod_2', 'placement_2']],
  ['a name of the row number', ['rowid'], ['rowid_2']],
  ['one without a name', ['', ' '], ['column_1', 'column_2']],
  ['controls', ['a\u0000b\u001b[2J\n'], ['a_b_[2J_']],
  ['half of a character', ['a\ud800'], ['a\ufffd']],
])('columns of %s', (_what, titles, columns) => {
  expect(columnNames(titles)).toEqual(columns);
});

test('whatever a plugin calls its columns, there is a table that has them', () => {
  const titles = fc.array(
    fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.constantFrom('pod', '"', ']', ';')),
    {
      minLength: 1,
      maxLength: 256,
    },
  );
  const database = new DatabaseSync(':memory:');
  fc.assert(
    fc.property(titles, fc.string({ unit: 'binary' }), (columns, plugin) => {
      const names = columnNames(columns);
      const [table = ''] = tableNames([plugin]);
      database.exec(rowTable(table, names));
      const found = database.prepare(`SELECT name FROM pragma_table_info(?) LIMIT ${names.length}`).all(table);
      expect(found.map(({ name }) => name)).toEqual(names);
      database.exec(`DROP TABLE ${quoted(table)}`);
    }),
    { numRuns: 500 },
  );
});
