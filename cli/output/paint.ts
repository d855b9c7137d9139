import { styleText } from 'node:util';

/** What a colour means here. */
export type Tone = 'heading' | 'quiet' | 'bad' | 'warn';

/** Puts a tone on a text that is ready to be shown. */
export type Paint = (tone: Tone, text: string) => string;

const styles = { heading: 'bold', quiet: 'dim', bad: ['bold', 'red'], warn: 'yellow' } as const;

/** Colours for a terminal that wants them; plain text otherwise. */
export function paintFor(color: boolean): Paint {
  if (!color) return (_tone, text) => text;
  return (tone, text) => styleText([...[styles[tone]].flat()], text, { validateStream: false });
}
