import fc from 'fast-check';
import { expect, test } from 'vitest';
import { eventKinds } from './event.ts';
import { parseWebhooks } from './webhooks.ts';

const own = { name: 'soc', url: 'https://soc.example/hook', format: 'kcorder', secret: 'sixteen-letters!' };
const slack = { name: 'chat', url: 'https://hooks.slack.example/services/T0/B0/sEcReT', format: 'slack' };
const read = (...webhooks: unknown[]) => parseWebhooks(JSON.stringify({ webhooks }));

test('both formats are read, and all events are told unless some are named', () => {
  const some = { ...slack, events: ['finding', 'run_missed'], minSeverity: 'critical' };
  expect(read(own, some)).toEqual({
    kind: 'webhooks',
    webhooks: [
      { ...own, events: new Set(eventKinds), minSeverity: 'info' },
      { ...some, secret: '', events: new Set(['finding', 'run_missed']) },
    ],
  });
});

test('nobody to tell is no error', () => expect(read()).toEqual({ kind: 'webhooks', webhooks: [] }));

test.each([
  ['a name with blanks', { ...own, name: 'so c' }, 'webhooks[0].name is not up to'],
  ['no name', { ...own, name: undefined }, 'webhooks[0].name is not up to'],
  ['plain http to another machine', { ...own, url: 'http://soc.example/' }, 'webhooks[0].url is no https URL'],
  ['a login in the URL', { ...own, url: 'https://me:pw@soc.example/' }, 'webhooks[0].url is no https URL'],
  ['no URL at all', { ...own, url: 7 }, 'webhooks[0].url is no https URL'],
  ['another format', { ...own, format: 'teams' }, 'webhooks[0].format is neither'],
  ['no secret to sign with', { ...own, secret: undefined }, 'webhooks[0].secret is not 16 to 1024'],
  ['a secret of 15 characters', { ...own, secret: 'fifteen-letters' }, 'webhooks[0].secret is not 16 to 1024'],
  ['a secret for Slack', { ...slack, secret: 'sixteen-letters!' }, 'webhooks[0].secret is not for Slack'],
  ['an event that is not known', { ...own, events: ['finding', 'reboot'] }, 'webhooks[0].events is no list of some of'],
  ['no event', { ...own, events: [] }, 'webhooks[0].events is no list of some of'],
  ['another severity', { ...own, minSeverity: 'high' }, 'webhooks[0].minSeverity is not one of'],
  ['an unknown key', { ...own, retries: 3 }, 'webhooks[0].retries is unknown'],
  ['a secret in the place of a key', { ...own, 'wh-sec-0123': '' }, 'webhooks[0] has an unknown key'],
  ['no object', 'https://soc.example', 'webhooks[0] is no object'],
])('%s is an error that names its place', (_sentence, entry, error) => {
  const { kind, ...found } = read(entry);
  expect(kind).toBe('wrong');
  expect('errors' in found ? found.errors : []).toEqual([expect.stringContaining(error)]);
});

test('every error is told at once', () => {
  const found = read({ ...own, url: '' }, { ...own, name: 'two', format: '' }, { ...own });
  expect(found).toMatchObject({ kind: 'wrong', errors: { length: 3 } });
  expect(found).toMatchObject({ errors: expect.arrayContaining(['webhooks[2].name is that of webhooks[0]']) });
});

test.each([
  ['no JSON', '{"webhooks": [', 'it is no JSON'],
  ['a list', '[]', 'it is no object with a list "webhooks"'],
  ['another key', '{"webhooks": [], "proxy": ""}', 'proxy is unknown'],
])('%s is refused', (_sentence, text, error) => {
  expect(parseWebhooks(text)).toEqual({ kind: 'wrong', errors: [expect.stringContaining(error)] });
});

test('no error shows a URL or a secret, wherever the file breaks', () => {
  const text = JSON.stringify({ webhooks: [own, { ...slack, secret: 'hUsHhUsHhUsHhUsH', format: 'slick' }] });
  fc.assert(
    fc.property(fc.nat(text.length), fc.constantFrom('', '"', '}', 'x', '\\', '\u0000'), (at, put) => {
      const found = parseWebhooks(text.slice(0, at) + put + text.slice(at + 3));
      const said = JSON.stringify('errors' in found ? found.errors : []);
      expect(said).not.toMatch(/example|sEc|hUs|sixteen/);
    }),
  );
});
