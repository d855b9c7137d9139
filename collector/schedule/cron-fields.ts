const months = '1 to 12 or JAN to DEC';
const days = '1 to 31, L for the last, or nW for the weekday nearest to n';
const weekdays = '0 to 7 or SUN to SAT (0 and 7 are Sunday), n#1 to n#5 or nL for one of a month';

/** Fields of a pattern with seconds, and what each takes. */
const fields = [
  { name: 'second', takes: '0 to 59' },
  { name: 'minute', takes: '0 to 59' },
  { name: 'hour', takes: '0 to 23' },
  { name: 'day of the month', takes: days },
  { name: 'month', takes: months },
  { name: 'day of the week', takes: weekdays },
] as const;

/**
 * The first entry of a pattern (five or six fields) that cannot be read, in the words it was given in; undefined if each can be read. The library that
 * reads patterns counts months and days from 0 and says so in its errors, so only its yes or no is asked: `isRead`, of a whole pattern.
 */
export function entryProblem(pattern: string, isRead: (pattern: string) => boolean): string | undefined {
  const given = pattern.split(' ');
  for (const [index, field] of given.entries()) {
    const kind = fields[index + fields.length - given.length];
    const alone = (entry: string) => given.map((_, at) => (at === index ? entry : '*')).join(' ');
    const entry = field.split(',').find((each) => each === '' || !isRead(alone(each)));
    if (kind === undefined || entry === undefined) continue;
    const shown = entry === '' ? `an empty entry ("${field}")` : `"${entry}"`;
    const ranges = /[-/]/.test(entry) ? '; a range is low-high, a step */n or low-high/n' : '';
    return `has ${shown} for the ${kind.name}, which takes ${kind.takes}${ranges}`;
  }
  return undefined;
}
