import { cut } from '../plain.ts';
import type { Notification } from './notification.ts';

// https://docs.slack.dev/reference/block-kit/blocks: longest texts of a header and of a section.
const headerLimit = 150;
const sectionLimit = 3000;

const marks = { info: '🟢', warning: '🟠', critical: '🔴' } as const;
const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** A notification as Slack's incoming webhooks, and those that take the same, show it. */
export function forSlack(notification: Notification): unknown {
  const { severity, summary, text, id, at } = notification;
  const section = escaped(text, sectionLimit);
  return {
    text: escaped(`${marks[severity]} ${text}`, sectionLimit),
    // Without this, a text in the shape of a link or a name of a channel would become one.
    mrkdwn: false,
    blocks: [
      {
        type: 'header',
        text: { type: 'plain_text', text: cut(`${marks[severity]} ${summary}`, headerLimit), emoji: true },
      },
      { type: 'section', text: { type: 'mrkdwn', text: section, verbatim: true } },
      { type: 'context', elements: [{ type: 'plain_text', text: `kcorder · ${at} · ${id}`, emoji: false }] },
    ],
  };
}

/** Slack's three control characters as entities; at most `limit` long with them, never half of one. */
function escaped(text: string, limit: number): string {
  const asEntities = (part: string) => part.replace(/[&<>]/g, (character) => entities[character] ?? '');
  let part = text;
  while (asEntities(part).length > limit)
    part = cut(part, part.length - Math.ceil((asEntities(part).length - limit) / 5));
  return asEntities(part);
}
