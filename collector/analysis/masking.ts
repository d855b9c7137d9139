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

function placesOf(columns: readonly string[], sought: readonly string[] = []): number[] {
  return columns.flatMap((column, place) => (sought.includes(column) ? [place] : []));
}

const secretName =
  '[\\w.-]{0,64}(?:passw(?:or)?d|passphrase|_pwd|secret|token|credentials?|api-?_?key|access-?_?key|private-?_?key|auth(?:orization)?)[\\w.-]{0,64}';

/** Each keeps its first group, and what follows it is masked. */
const secrets: readonly RegExp[] = [
  // Authorization: Bearer x, and a header with another scheme.
  /((?:authorization|cookie|x-[\w-]{1,64}):\s*)(?:(?:bearer|basic|token)\s+)?[^\s'"]+/gi,
  /(\b(?:bearer|basic)\s+)[\w+/=._~-]{6,}/gi,
  // NAME=x and --name=x, but for where a secret is kept.
  new RegExp(
    `((?<![\\w.-])-{0,2}(?!${secretName}(?:file|path|dir|name|url)\\b)${secretName}\\s*[=:]\\s*)("[^"]*"|'[^']*'|[^\\s&,;]+)`,
    'gi',
  ),
  // --name x
  new RegExp(`((?<!\\S)--?(?!${secretName}(?:file|path|dir|name|url)\\b)${secretName}\\s+)(?!-)\\S+`, 'gi'),
  // scheme://user:x@host
  /(\b[a-z][a-z0-9+.-]{1,32}:\/\/[^\s:/@]{0,256}:)[^\s@/]+(?=@)/gi,
  // What some programs take with a letter.
  /(\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^|;]{0,256}?\s-p)(?=\S)\S+/gi,
  /(\bsshpass\s+-p\s*)\S+/gi,
  /((?<!\S)(?:-u|--user|-U|--proxy-user)[\s=]+[^\s:]{1,256}:)\S+/g,
  // What tells by itself that it is one.
  /()\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?/g,
  /()\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  /()\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|AIza[\w-]{30,})/g,
  /()-----BEGIN [^-]{0,64}PRIVATE KEY-----[\s\S]*?(?:-----END [^-]{0,64}PRIVATE KEY-----|$)/g,
];

/** A command line without the secrets that can be told from other arguments. It is no promise that none is left. */
export function maskSecrets(line: string): string {
  return secrets.reduce((text, secret) => text.replace(secret, `$1${masked}`), line);
}
