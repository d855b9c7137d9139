import type { Cell } from './protocol.ts';

/** Stands in the place of what is masked. */
const masked = '[masked]';

/** Columns of which no value is shown: what people typed, what programs were given, and memory itself. */
const wholly: Readonly<Record<string, readonly string[]>> = {
  'linux.bash.Bash': ['Command'],
  'linux.envars.Envars': ['VALUE'],
  'linux.kmsg.Kmsg': ['line'],
  'linux.malware.malfind.Malfind': ['Hexdump', 'Disasm'],
  'linux.vmaregexscan.VmaRegExScan': ['Text', 'Hex'],
  'linux.vmayarascan.VmaYaraScan': ['Value'],
};

/** Columns with command lines, of which secrets alone are masked. */
const commandLines: Readonly<Record<string, readonly string[]>> = {
  processes: ['commandLine'],
  'linux.psaux.PsAux': ['ARGS'],
  // The end of a title that goes on over the environment.
  'linux.envars.Envars': ['KEY'],
  // Of a program that wrote its title over its arguments, all of them.
  'linux.malware.process_spoofing.ProcessSpoofing': ['Cmdline_Basename'],
};

/** What masks the rows of a plugin. */
export interface Mask {
  /** Columns of which no value is left. */
  readonly columns: readonly string[];
  /** The row without what is masked; the same row where there is nothing to mask. */
  row(row: Cell[]): Cell[];
}

/** Returns the mask of a plugin, undefined for one whose rows are shown as they are. */
export function maskOf(plugin: string, columns: readonly string[]): Mask | undefined {
  const hidden = placesOf(columns, wholly[plugin]);
  const lines = placesOf(columns, commandLines[plugin]);
  if (hidden.length + lines.length === 0) return undefined;
  return {
    columns: hidden.map((place) => columns[place] ?? ''),
    row: (row) => {
      const changed = [...row];
      for (const place of hidden) if (changed[place] !== null) changed[place] = masked;
      for (const place of lines) {
        const line = changed[place];
        if (typeof line === 'string') changed[place] = maskSecrets(line);
      }
      return changed;
    },
  };
}

/** The places of columns; all places where one is missing: whoever renamed it did not rename it here. */
function placesOf(columns: readonly string[], sought: readonly string[] = []): number[] {
  const isWhole = sought.every((column) => columns.includes(column));
  return columns.flatMap((column, place) => (!isWhole || sought.includes(column) ? [place] : []));
}

const secretWord = [
  ...[
    'passw(?:or)?d',
    'passphrase',
    '(?<![a-z])pass(?![a-z])',
    '(?:[_-]|(?<=[;?&]))pwd',
    'secret',
    'token',
    'credentials?',
  ],
  ...['api-?_?key', 'access-?_?key', 'account-?_?key', 'private-?_?key', 'encryption-?_?key'],
  ...['(?<![a-z])jwt(?![\\w-])', '(?<=[?&])sig(?![\\w-])', 'auth(?:orization)?'],
].join('|');
const secretName = `[\\w.-]{0,64}(?:${secretWord})[\\w.-]{0,64}`;
/** A name to its end; what is behind it is looked at once. Says where a secret is kept: no. */
const ofSecret = `(?!${secretName}(?:file|path|dir|name|url)\\b)${secretName}(?![\\w.-])`;
const value = `(?:"[^"]*"|'[^']*'|\\S)\\S*`;

/**
 * Each keeps its first group, and what follows it is masked. A hostile process writes its own command line, up to 128 KiB of it: no pattern may
 * begin again at each character of what it has just read to its end.
 */
const secrets: readonly RegExp[] = [
  // Authorization: Bearer x, and a header with another scheme.
  /((?:authorization|cookie|(?<![\w-])(?:-H)?x-[\w-]{1,64}):\s*)(?:(?:bearer|basic|token)\s+)?[^\s'"]+/gi,
  /(\b(?:bearer|basic)\s+)[\w+/=._~-]{6,}/gi,
  // NAME=x, --name=x and "name": "x", but for where a secret is kept.
  new RegExp(`((?<![\\w.-])-{0,2}${ofSecret}\\\\?["']?\\s*[=:]\\s*)${value}`, 'gi'),
  // --name x
  new RegExp(`((?<!\\S)--?${ofSecret}\\s+)(?!-)\\S+`, 'gi'),
  /(\bsshpass\s+-p\s*)\S+/gi,
  /((?<!\S)(?:-u|--user|-U|--proxy-user)[\s=]+[^\s:=][^\s:]{0,255}:)\S+/g,
  // What tells by itself that it is one.
  /()(?<![\w-])(?=[\w-]*\beyJ)[\w-]{11,}\.[\w-]{8,}(?:\.[\w-]*)?/g,
  /()\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  /()\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|AIza[\w-]{30,})/g,
  /()(?<![\w.-])(?:hvs\.[\w-]{20,}|sk-[\w-]{20,}|[rs]k_live_\w{20,}|npm_\w{30,})/g,
  /()-----BEGIN [^-]{0,64}PRIVATE KEY-----[\s\S]*?(?:-----END [^-]{0,64}PRIVATE KEY-----|$)/g,
];

/** Before a password in an address, and a colon, with which another address may begin. */
const beforeLogin = /:\/\/[^\s:/@]{0,256}(?=:)/g;
const mostOfLogin = 256;

/** scheme://user:x@host, where the password may itself have an @. Each character is looked at a bounded number of times, unlike by a pattern. */
function maskLogins(text: string): string {
  let shown = '';
  let done = 0;
  let at = 0;
  for (const { index, 0: before } of text.matchAll(beforeLogin)) {
    const from = index + before.length + 1;
    if (from < done) continue;
    if (at < from) at = text.indexOf('@', from);
    if (at === -1) break;
    if (at - from > mostOfLogin) continue;
    const word = /^\S*/.exec(text.slice(from, from + mostOfLogin + 1))?.[0] ?? '';
    const end = from + word.lastIndexOf('@');
    if (end <= from) continue;
    shown += text.slice(done, from) + masked;
    done = end;
  }
  return shown + text.slice(done);
}

/** What these programs take with a letter. */
const byLetter: readonly (readonly [program: RegExp, secret: RegExp])[] = [
  [/\b(?:mysql|mysqldump|mysqladmin|mariadb)\b/i, /((?<!\S)-p)\S+/g],
  [/\bredis-cli\b/i, /((?<!\S)-a\s+)\S+/g],
];

/** A command line without the secrets that can be told from other arguments. It is no promise that none is left. */
export function maskSecrets(line: string): string {
  const lettered = byLetter.flatMap(([program, secret]) => (program.test(line) ? [secret] : []));
  return [...secrets, ...lettered].reduce((text, secret) => text.replace(secret, `$1${masked}`), maskLogins(line));
}
