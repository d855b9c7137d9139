/** An answer as it goes. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** An answer of the JSON API. */
function jsonAnswer(status: number, json: unknown): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(json)) };
}

/** An error in the words of the JSON API. */
export const errorAnswer = (status: number, message: string): Answer =>
  jsonAnswer(status, { error: { code: status, message, errors: [{ message, domain: 'global' }] } });
