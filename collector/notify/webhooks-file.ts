import { readBounded } from '@kcorder/proto/bounds/files.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { parseWebhooks, type Webhook } from './webhooks.ts';

/** What comes of a later look at the file. */
export interface WebhooksFileEvents {
  changed(webhooks: readonly Webhook[]): void;
  /** What was read before stays in use. Told once for each change. */
  refused(fault: Fault): void;
}

const lookMs = 15_000;

/** The file that says whom to tell; looked at again every 15 s. */
export class WebhooksFile {
  readonly #path: string;
  readonly #events: WebhooksFileEvents;
  readonly #timer: NodeJS.Timeout;
  #seen: string;
  #complaint = '';

  private constructor(path: string, seen: string, events: WebhooksFileEvents) {
    this.#path = path;
    this.#seen = seen;
    this.#events = events;
    this.#timer = setInterval(() => void this.look(), lookMs);
    this.#timer.unref();
  }

  /** Throws config_invalid with every error of the file; the webhooks that it names go to `changed`. */
  static async open(path: string, events: WebhooksFileEvents): Promise<WebhooksFile> {
    const text = await readText(path);
    events.changed(webhooksOf(path, text));
    return new WebhooksFile(path, text, events);
  }

  /** Never throws. */
  async look(): Promise<void> {
    try {
      const text = await readText(this.#path);
      if (text !== this.#seen) this.#events.changed(webhooksOf(this.#path, text));
      this.#seen = text;
      this.#complaint = '';
    } catch (error) {
      const fault = Fault.from(error);
      if (fault.message !== this.#complaint) this.#events.refused(fault);
      this.#complaint = fault.message;
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
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
