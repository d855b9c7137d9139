import { readBounded } from '@kcorder/proto/bounds/files.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { LastGood } from '../background/last-good.ts';
import { parseWebhooks, type Webhook } from './webhooks.ts';

/** What comes of a look at the file. */
export interface WebhooksFileEvents {
  changed(webhooks: readonly Webhook[]): void;
  /** What was read before stays in use. Told once for each change. */
  refused(fault: Fault): void;
}

/** Opens the file that says whom to tell. The webhooks that it names go to `changed`. Throws config_invalid with every error of the file. */
export async function openWebhooksFile(
  path: string,
  events: WebhooksFileEvents,
): Promise<LastGood<readonly Webhook[]>> {
  const file = await LastGood.open({
    read: () => readText(path),
    parse: (text) => webhooksOf(path, text),
    changed: (webhooks) => events.changed(webhooks),
    refused: (fault) => events.refused(fault),
  });
  events.changed(file.value);
  return file;
}

function webhooksOf(path: string, text: string): readonly Webhook[] {
  const read = parseWebhooks(text);
  if (read.kind === 'webhooks') return read.webhooks;
  throw new Fault('config_invalid', `the webhooks file ${path} is wrong: ${read.errors.join('; ')}`);
}

async function readText(path: string): Promise<string> {
  try {
    return (await readBounded(path, 'webhooks')).toString('utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Fault('config_invalid', `the webhooks file ${path} cannot be read: ${why}`, { cause: error });
  }
}
