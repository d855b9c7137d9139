/** A metric as its help and its first series tell it. */
export interface DescribedMetric {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly help: string;
}

/** Our metrics of an answer to a scrape, by name: not those of the process, which are prom-client's. Throws when one has no series: its labels could not be told. */
export function metricsOf(text: string): DescribedMetric[] {
  const samples = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [, name = '', labels = ''] = /^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? /i.exec(line) ?? [];
    if (name !== '' && !samples.has(name))
      samples.set(
        name,
        [...labels.matchAll(/([a-z_]+)="(?:[^"\\]|\\.)*"/g)].map(([, label = '']) => label),
      );
  }
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
  const described = [...text.matchAll(/^# HELP (kcorder_\S+) (.*)$/gm)].map(([, name = '', help = '']) => {
    const type = types.get(name) ?? '';
    const labels = samples.get(type === 'histogram' ? `${name}_count` : name);
    if (labels === undefined) throw new Error(`${name} has no series in this answer`);
    return { name, type, labels, help };
  });
  return described.sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** The metrics as rows of a table in Markdown. */
export function tableOf(metrics: readonly DescribedMetric[]): string {
  const rows = metrics.map(({ name, type, labels, help }) => {
    const named = labels.length === 0 ? '' : labels.map((label) => `\`${label}\``).join(' ');
    return `| \`${name}\` | ${type} | ${named} | ${help} |`;
  });
  return ['| series | type | labels | meaning |', '|---|---|---|---|', ...rows].join('\n');
}
