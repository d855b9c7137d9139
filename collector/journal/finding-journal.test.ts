import { expect, test } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { openDatabase } from './database.ts';
import { type Finding, FindingJournal } from './finding-journal.ts';

const info: Finding = { severity: 'info', rule: 'executable_deleted', detail: 'one' };
const warning: Finding = { severity: 'warning', rule: 'executable_deleted', detail: 'two' };
const critical: Finding = { severity: 'critical', rule: 'kernel_mismatch', detail: 'three' };

test('the gravest come first, and a later analysis takes the place of the earlier one', () => {
  using scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  const findings = new FindingJournal(database);
  findings.put('c-1', [info, critical, warning]);
  findings.put('c-2', [warning]);
  expect(findings.of('c-1')).toEqual([critical, warning, info]);
  findings.put('c-1', []);
  expect([findings.of('c-1'), findings.of('c-2'), findings.of('c-3')]).toEqual([[], [warning], []]);
  database.close();
});
