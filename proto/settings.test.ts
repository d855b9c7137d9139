import * as v from 'valibot';
import { expect, test } from 'vitest';
import { inUnit, readSettings, rowsOf, setting, unknownSettings, withoutEmpty } from './settings.ts';

const whole = v.pipe(
  v.string(),
  v.check((text) => /^\d+$/.test(text), 'is not a whole number'),
  v.transform(Number),
);
const settings = v.object({
  port: setting('KCORDER_PORT', whole, '', 'the port'),
  store: v.object({
    limit: setting('KCORDER_LIMIT_BYTES', inUnit('bytes', whole), '7', 'the limit'),
    key: setting('KCORDER_KEY', v.string(), undefined, 'the key'),
  }),
});

test('values have the types and the groups of their rows', () => {
  const { values } = readSettings(settings, { KCORDER_PORT: '1', KCORDER_KEY: 'k' });
  const typed: { port: number; store: { limit: number; key?: string | undefined } } | undefined = values;
  expect(typed).toEqual({ port: 1, store: { limit: 7, key: 'k' } });
});

test('every problem has the name of its variable and the text that was read', () => {
  const what = 'is not a whole number';
  expect(readSettings(settings, { KCORDER_LIMIT_BYTES: 'x' })).toEqual({
    problems: [
      { name: 'KCORDER_PORT', value: '', what },
      { name: 'KCORDER_LIMIT_BYTES', value: 'x', what },
    ],
  });
});

test('rows say what is needed to document them', () => {
  expect(rowsOf(settings)).toEqual([
    { name: 'KCORDER_PORT', fallback: '', unit: undefined, isRequired: true, says: 'the port' },
    { name: 'KCORDER_LIMIT_BYTES', fallback: '7', unit: 'bytes', isRequired: false, says: 'the limit' },
    { name: 'KCORDER_KEY', fallback: undefined, unit: undefined, isRequired: false, says: 'the key' },
  ]);
});

test('a misspelt variable is unknown; those of other programs and of Services are not looked at', () => {
  const links = ['KCORDER_SERVICE_HOST', 'KCORDER_PORT_7443_TCP', 'KCORDER_X_SERVICE_PORT', 'PATH'];
  const environment = Object.fromEntries(['KCORDER_KEYS', 'KCORDER_KEY', ...links].map((name) => [name, 'x']));
  expect(unknownSettings(settings, environment)).toEqual(['KCORDER_KEYS']);
});

test('empty can count as not set', () => {
  expect(withoutEmpty({ A: '', B: 'b', C: undefined })).toEqual({ B: 'b' });
});
