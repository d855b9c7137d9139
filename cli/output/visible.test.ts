import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { hostileTexts } from '../fixtures/hostile-text.ts';
import { jsonText, yamlText } from './document.ts';
import { visible } from './visible.ts';

test.each([
  ['an escape sequence', '\x1b[31mred', '\\x1b[31mred'],
  ['a C1 control', '\u009b31m', '\\x9b31m'],
  ['a bidi override', '\u202eexe.gnp', '\\u202eexe.gnp'],
  ['a zero-width space', 'in\u200bvisible', 'in\\u200bvisible'],
  ['a tag beyond the first plane', 'a\u{e0041}', 'a\\u{e0041}'],
  ['a line end', 'a\nb\r\tc', 'a\\nb\\r\\tc'],
  ['a space that is none', 'a\u00a0b', 'a\\xa0b'],
  ['half a character', 'a\ud800b', 'a\\ud800b'],
  ['a mark without a letter', '\u0301x', '\\u0301x'],
  ['a pile of marks, from the third on', 'e\u0301\u0302\u0303', 'e\u0301\u0302\\u0303'],
  ['plain text with a backslash, as it is', 'C:\\x1b "q" 漢é', 'C:\\x1b "q" 漢é'],
])('%s', (_what, raw, shown) => {
  expect(visible(raw)).toBe(shown);
});

/** Written without the expression under test: code points that may reach a terminal. */
function isHarmless(character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20 || (code >= 0x7f && code <= 0xa0) || code === 0xad || code === 0x61c) return false;
  if ((code >= 0x2000 && code <= 0x200f) || (code >= 0x2028 && code <= 0x202f) || (code >= 0x205f && code <= 0x206f))
    return false;
  if ([0x34f, 0x115f, 0x1160, 0x1680, 0x180e, 0x2800, 0x3000, 0x3164, 0xfeff, 0xffa0].includes(code)) return false;
  if ((code >= 0xd800 && code <= 0xf8ff) || (code >= 0xfe00 && code <= 0xfe0f) || (code >= 0xfff9 && code <= 0xfffb))
    return false;
  return code < 0xe_0000;
}

test('the corpus holds at least 200 texts, most of them dangerous', () => {
  expect(hostileTexts.length).toBeGreaterThanOrEqual(200);
  expect(hostileTexts.filter((text) => ![...text].every(isHarmless)).length).toBeGreaterThan(150);
});

test.each(hostileTexts.map((text) => [JSON.stringify(visible(text)), text]))(
  'nothing dangerous is left of %s',
  (_shown, text) => {
    const shown = visible(text);
    expect([...shown].filter((character) => !isHarmless(character))).toEqual([]);
    const document = { name: text, [`key ${text}`]: [text] };
    const json = jsonText(document);
    expect([...json].filter((character) => character !== '\n' && !isHarmless(character))).toEqual([]);
    expect(JSON.parse(json)).toEqual(document);
    const yaml = yamlText(document);
    expect([...yaml].filter((character) => character !== '\n' && !isHarmless(character))).toEqual([]);
    expect(parse(yaml)).toEqual(document);
  },
);
