const name = '[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?';
const key = `([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?${name}`;
const requirement = new RegExp(
  `^(!?${key}|${key}\\s*(==?|!=)\\s*(${name})?|${key}\\s+(in|notin)\\s+\\(\\s*${name}(\\s*,\\s*${name})*\\s*\\))$`,
);

/** What is wrong with a selector of labels, as kubectl takes them; undefined for one that can be used, and for none. */
export function selectorProblem(selector: string): string | undefined {
  if (selector === '') return undefined;
  if (selector.length > 1024) return 'is longer than 1024 characters';
  // Commas part requirements, but for those in parentheses.
  const parts = selector.split(/,(?![^(]*\))/).map((part) => part.trim());
  const wrong = parts.find((part) => !requirement.test(part));
  return wrong === undefined
    ? undefined
    : `holds "${wrong}", which is no requirement such as app=web or tier in (a, b)`;
}
