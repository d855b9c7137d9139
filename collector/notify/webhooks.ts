import { isSafeUrl } from '../settings.ts';
import { type EventKind, eventKinds, type Severity, severities } from './event.ts';

/** Somebody to be told. The URL can be a secret as the secret is: a webhook is spoken of by its name alone. */
export interface Webhook {
  readonly name: string;
  readonly url: string;
  readonly format: 'kcorder' | 'slack';
  /** What deliveries are signed with; empty for Slack. */
  readonly secret: string;
  readonly events: ReadonlySet<EventKind>;
  readonly minSeverity: Severity;
}

export type WebhooksText =
  | { readonly kind: 'webhooks'; readonly webhooks: readonly Webhook[] }
  /** Every error at once, each with its place and none with a value of the file. */
  | { readonly kind: 'wrong'; readonly errors: readonly string[] };

const mostWebhooks = 32;
const keys = ['name', 'url', 'format', 'secret', 'events', 'minSeverity'];

/** Reads what a webhooks file says. */
export function parseWebhooks(text: string): WebhooksText {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The message of the parser shows a part of the text.
    const at = /at position \d+( \(line \d+ column \d+\))?/.exec(error instanceof Error ? error.message : '');
    return { kind: 'wrong', errors: [`it is no JSON${at === null ? '' : ` ${at[0]}`}`] };
  }
  const errors: string[] = [];
  if (!isObject(value) || !Array.isArray(value.webhooks))
    return { kind: 'wrong', errors: ['it is no object with a list "webhooks"'] };
  refuseUnknown(value, ['webhooks'], '', errors);
  const entries: unknown[] = value.webhooks;
  if (entries.length > mostWebhooks) errors.push(`webhooks has more than ${mostWebhooks} entries`);
  const webhooks = entries
    .slice(0, mostWebhooks)
    .map((entry, place) => readWebhook(entry, `webhooks[${place}]`, errors));
  const names = webhooks.map((webhook) => webhook?.name ?? '');
  for (const [place, name] of names.entries()) {
    const first = names.indexOf(name);
    if (name !== '' && first < place) errors.push(`webhooks[${place}].name is that of webhooks[${first}]`);
  }
  if (errors.length > 0) return { kind: 'wrong', errors };
  return { kind: 'webhooks', webhooks: webhooks.filter((webhook) => webhook !== undefined) };
}

function readWebhook(entry: unknown, place: string, errors: string[]): Webhook | undefined {
  if (!isObject(entry)) {
    errors.push(`${place} is no object`);
    return undefined;
  }
  const wrong = (key: string, what: string) => void errors.push(`${place}.${key} ${what}`);
  refuseUnknown(entry, keys, place, errors);
  const { name, url, format, secret = '', events = eventKinds, minSeverity = 'info' } = entry;
  const named = typeof name === 'string' && /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name);
  if (!named) wrong('name', 'is not up to 63 lower-case letters, digits and dashes');
  if (typeof url !== 'string' || url.length > 2048 || !isSafeUrl(url))
    wrong('url', 'is no https URL without a login (http is for this machine only)');
  if (format !== 'kcorder' && format !== 'slack') wrong('format', 'is neither "kcorder" nor "slack"');
  if (format === 'kcorder' && (typeof secret !== 'string' || secret.length < 16 || secret.length > 1024))
    wrong('secret', 'is not 16 to 1024 characters: what is sent is signed with it');
  if (format === 'slack' && 'secret' in entry) wrong('secret', 'is not for Slack, which does not read signatures');
  if (!isListOfEvents(events)) wrong('events', `is no list of some of ${eventKinds.join(', ')}`);
  const severity = severities.find((known) => known === minSeverity);
  if (severity === undefined) wrong('minSeverity', `is not one of ${severities.join(', ')}`);
  return {
    name: named ? name : '',
    url: String(url),
    format: format === 'slack' ? 'slack' : 'kcorder',
    secret: String(secret),
    events: new Set(isListOfEvents(events) ? events : []),
    minSeverity: severity ?? 'info',
  };
}

function isListOfEvents(value: unknown): value is EventKind[] {
  const known: readonly unknown[] = eventKinds;
  return Array.isArray(value) && value.length > 0 && value.every((kind) => known.includes(kind));
}

/** A key that is no plain word could be a secret in the wrong place. */
function refuseUnknown(entry: object, known: readonly string[], place: string, errors: string[]): void {
  for (const key of Object.keys(entry).filter((each) => !known.includes(each)))
    errors.push(
      /^[A-Za-z]{1,24}$/.test(key)
        ? `${[place, key].filter(Boolean).join('.')} is unknown`
        : `${place || 'it'} has an unknown key`,
    );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
