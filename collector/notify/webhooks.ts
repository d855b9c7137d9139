import * as v from 'valibot';
import { check, exactly, isObject } from '../problems.ts';
import { isSafeUrl } from '../safe-url.ts';
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
const formats = ['kcorder', 'slack'] as const;

const isName = (value: unknown): boolean =>
  typeof value === 'string' && /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(value);
const isUrl = (value: unknown): boolean => typeof value === 'string' && value.length <= 2048 && isSafeUrl(value);
const isSecret = (value: unknown): boolean => typeof value === 'string' && value.length >= 16 && value.length <= 1024;
const isListOfEvents = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every((kind) => v.is(v.picklist(eventKinds), kind));

/** Deliveries are signed, but for Slack. Of a webhook without a known format the secret is not looked at. */
function secretOf(format: unknown) {
  type Secret = string | undefined;
  if (format === 'kcorder')
    return v.custom<Secret>(isSecret, 'is not 16 to 1024 characters: what is sent is signed with it');
  if (format === 'slack')
    return v.custom<Secret>((value) => value === undefined, 'is not for Slack, which does not read signatures');
  return v.custom<Secret>(() => true);
}

/** A key that is no plain word could be a secret in the wrong place. */
const mayShow = (key: string): boolean => /^[A-Za-z]{1,24}$/.test(key);

const webhook = v.lazy((input) =>
  v.pipe(
    v.custom<object>(isObject, 'is no object'),
    exactly(
      {
        name: v.custom<string>(isName, 'is not up to 63 lower-case letters, digits and dashes'),
        url: v.custom<string>(isUrl, 'is no https URL without a login (http is for this machine only)'),
        format: v.picklist(formats, 'is neither "kcorder" nor "slack"'),
        secret: secretOf(isObject(input) ? input.format : undefined),
        events: v.optional(
          v.custom<readonly EventKind[]>(isListOfEvents, `is no list of some of ${eventKinds.join(', ')}`),
          eventKinds,
        ),
        minSeverity: v.optional(v.picklist(severities, `is not one of ${severities.join(', ')}`), 'info'),
      },
      mayShow,
    ),
    v.transform(({ secret, events, ...same }): Webhook => ({ ...same, secret: secret ?? '', events: new Set(events) })),
  ),
);

const hasList = (value: unknown): boolean => isObject(value) && Array.isArray(value.webhooks);
const file = v.pipe(
  v.custom<{ webhooks: unknown[] }>(hasList, 'is no object with a list "webhooks"'),
  exactly(
    {
      webhooks: v.pipe(
        v.array(v.unknown()),
        v.maxLength(mostWebhooks, `has more than ${mostWebhooks} entries`),
        v.array(webhook),
      ),
    },
    mayShow,
  ),
);

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
  const checked = check(file, value);
  const problems = checked.kind === 'bad' ? checked.problems : [];
  const errors = [...problems.map(({ place, what }) => `${place || 'it'} ${what}`), ...twins(value)];
  if (checked.kind === 'bad' || errors.length > 0) return { kind: 'wrong', errors };
  return { kind: 'webhooks', webhooks: checked.value.webhooks };
}

function twins(value: unknown): string[] {
  const entries: unknown[] = isObject(value) && Array.isArray(value.webhooks) ? value.webhooks : [];
  const names = entries
    .slice(0, mostWebhooks)
    .map((entry) => (isObject(entry) && isName(entry.name) ? entry.name : undefined));
  return [...names.entries()]
    .filter(([place, name]) => name !== undefined && names.indexOf(name) < place)
    .map(([place, name]) => `webhooks[${place}].name is that of webhooks[${names.indexOf(name)}]`);
}
