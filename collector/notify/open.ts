import { causeChain } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import type { CaptureJournal } from '../journal/capture-journal.ts';
import type { Outbox } from '../journal/outbox.ts';
import { Notifier } from './notifier.ts';
import { openWebhooksFile } from './webhooks-file.ts';

/** What metrics count. */
export interface NotificationCounts {
  attempted(webhook: string, result: 'sent' | 'failed'): void;
  reloadFailed(): void;
}

/** A notifier that works, and how it is ended. */
export interface OpenNotifier {
  readonly notifier: Notifier;
  close(): Promise<void>;
}

/** Reads whom to tell and begins to. Without a webhooks file nobody is told, and nothing is written. Throws config_invalid. */
export async function openNotifier(
  config: { readonly webhooksFile: string; readonly clusterName: string },
  outbox: Outbox,
  captures: CaptureJournal,
  counts: NotificationCounts,
  log: Logger,
): Promise<OpenNotifier> {
  const notifier = new Notifier(outbox, captures, config.clusterName, {
    attempted: (webhook, result) => counts.attempted(webhook, result),
    refused: (webhook, id, reason) =>
      log.error({ webhook, notification: id, reason }, 'a webhook refused a notification'),
    postponed: (webhook, reason, failures) => {
      // A receiver that is down for a day would fill the log otherwise.
      const level = failures === 1 || failures % 10 === 0 ? 'warn' : 'debug';
      log[level]({ webhook, reason, failures }, 'a webhook did not take a notification; it is tried again');
    },
    broken: (webhook, error) =>
      log.error({ webhook, causes: causeChain(error) }, 'telling a webhook broke down; it goes on in a moment'),
    notWritten: (error) => log.error({ causes: causeChain(error) }, 'a notification could not be written'),
    crowdedOut: (webhook) =>
      log.error({ webhook }, 'too many notifications wait for a webhook: an older one was given up'),
    givenUp: (count) => log.error({ count }, 'notifications that were not taken for a day are given up'),
  });
  const { webhooksFile } = config;
  const file =
    webhooksFile === ''
      ? undefined
      : await openWebhooksFile(webhooksFile, {
          changed: (webhooks) => {
            notifier.use(webhooks);
            log.info({ webhooks: webhooks.map(({ name }) => name) }, 'webhooks are in use');
          },
          refused: (fault) => {
            counts.reloadFailed();
            log.error(
              { message: fault.message },
              'the webhooks file could not be used; what was read before stays in use',
            );
          },
        });
  notifier.start();
  return {
    notifier,
    close: async () => {
      file?.close();
      await notifier.close();
    },
  };
}
