import fc from 'fast-check';
import { expect, test } from 'vitest';
import { at, request, states } from '../testing/states.ts';
import { factsOf } from './facts.ts';
import { compose } from './notification.ts';
import { forSlack } from './slack.ts';

interface Message {
  readonly text: string;
  readonly mrkdwn: boolean;
  readonly blocks: readonly {
    readonly type: string;
    readonly text?: { readonly text: string; readonly verbatim?: boolean };
  }[];
}

function shown(node: string): Message {
  const outcome = { kind: 'failed', reason: 'network_stall', detail: '' } as const;
  const capture = {
    request: { ...request, node: { name: node, uid: 'u' } },
    state: { ...states.done, outcome },
    durableBytes: 0,
  };
  return forSlack(
    compose('7f0c', factsOf({ kind: 'capture_failed', captureId: 'c-1' }, capture, at, 'prod')),
  ) as Message;
}

test('a message has a heading, a sentence and the id', () => {
  expect(shown('n1')).toMatchObject({
    text: expect.stringContaining('Failed, network_stall: capture c-1 of node n1'),
    mrkdwn: false,
    blocks: [{ type: 'header' }, { type: 'section', text: { verbatim: true } }, { type: 'context' }],
  });
});

test('a name that would call the whole channel is shown as it is', () => {
  const { text, blocks } = shown('<!channel> & <https://evil.example|click>');
  expect(text).toContain('&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;');
  expect(blocks[1]?.text?.text).toContain('&lt;!channel&gt; &amp; &lt;');
});

test("whatever a name is, the message keeps to Slack's limits and holds nothing that Slack obeys", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('<', '&', 'a', '\u202e', '\n', '😀', '`'), maxLength: 5000 }),
      (node) => {
        const { text, blocks } = shown(node);
        for (const each of [text, blocks[1]?.text?.text ?? '']) {
          expect(each).not.toMatch(/[<>]|&(?!(amp|lt|gt);)|\u202e/);
          expect(each.length).toBeLessThanOrEqual(3000);
          expect(each.isWellFormed()).toBe(true);
        }
        expect(blocks[0]?.text?.text.length).toBeLessThanOrEqual(150);
        expect(blocks[0]?.text?.text.isWellFormed()).toBe(true);
      },
    ),
  );
});
