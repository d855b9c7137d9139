import type { Paint } from './paint.ts';
import type { Sink } from './terminal.ts';
import { visible } from './visible.ts';
import { cut } from './width.ts';

/** A line that tells how things stand: redrawn in place on a terminal, repeated every few seconds elsewhere. */
export interface LiveLine extends Disposable {
  /** Shows the line now, out of turn. */
  refresh(): void;
  /** Writes a line that stays. */
  say(text: string): void;
  /** The same, as a warning. */
  warn(text: string): void;
}

const redrawMs = 200;
const repeatMs = 5000;
const startOfLine = '\r\x1b[K';

/** Starts a live line on a sink; `draw` gives its text at any moment, raw, asked for every `everyMs`. Dispose of it to end it. */
export function startLiveLine(sink: Sink, paint: Paint, draw: () => string, everyMs?: number): LiveLine {
  let drawn = '';
  const refresh = (): void => {
    const text = visible(draw());
    if (!sink.isTty) {
      if (text !== '') sink.write(`${text}\n`);
      return;
    }
    const line = cut(text, (sink.columns ?? 80) - 1);
    if (line !== drawn) sink.write(`${startOfLine}${line}`);
    drawn = line;
  };
  const wipe = (): void => {
    if (drawn !== '') sink.write(startOfLine);
    drawn = '';
  };
  const say = (line: string): void => {
    wipe();
    sink.write(`${line}\n`);
  };
  const timer = setInterval(refresh, everyMs ?? (sink.isTty ? redrawMs : repeatMs));
  return {
    refresh,
    say: (text) => say(visible(text)),
    warn: (text) => say(paint('warn', visible(`warning: ${text}`))),
    [Symbol.dispose]: () => {
      clearInterval(timer);
      wipe();
    },
  };
}
