import { join } from 'node:path';
import { repoDir } from '../../../tools/setup/cache.ts';

const ours = join(repoDir, 'collector/analysis/volatility/');
const begin = 'Traceback (most recent call last):\n';
/** A cause, which somebody caught and answered with the next error. */
const answered = /\n(During handling of the above exception|The above exception was the direct cause)/;
/** What says that a program was not made for its input. */
const slip =
  /^(TypeError|AttributeError|KeyError|IndexError|ValueError|RecursionError|ZeroDivisionError|OverflowError|NameError|UnboundLocalError|AssertionError|NotImplementedError|UnicodeError|UnicodeDecodeError|UnicodeEncodeError|StopIteration|RuntimeError|struct\.error|BufferError)\b/;

/** The errors in a log of the runner that were raised in a file of ours and say that it was not made for its input: the last frame, and the error. */
export function slipsOf(log: string): string[] {
  return log
    .split(begin)
    .slice(1)
    .filter((text) => !answered.test(text))
    .flatMap((text) => {
      const error = text.split('\n').find((line) => /^\S/.test(line)) ?? '';
      const [frame = ''] = [...text.matchAll(/^ {2}File .*$/gm)].map(([line]) => line.trim()).slice(-1);
      return frame.includes(ours) && slip.test(error) ? [`${frame}: ${error}`] : [];
    });
}
