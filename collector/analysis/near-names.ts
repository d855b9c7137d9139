const mostNames = 3;
/** Edits by which a name may differ from what was meant; of short words fewer. */
const mostEdits = 2;
/** A comparison takes the square of it. */
const longestName = 128;

/** Returns the known names that somebody may have meant, the nearest first: those with a part like it, then those spelled almost like it. */
export function nearNames(wanted: string, known: readonly string[]): string[] {
  const word = wanted.slice(0, longestName).toLowerCase();
  const most = Math.min(mostEdits, Math.floor(word.length / 3));
  const found = known.flatMap((name) => {
    const distance = distanceOf(word, name.toLowerCase());
    return distance > most ? [] : [{ name, distance }];
  });
  return found
    .toSorted((a, b) => a.distance - b.distance)
    .slice(0, mostNames)
    .map(({ name }) => name);
}

/** Edits between a word and the nearest part of a dotted name. */
function distanceOf(word: string, name: string): number {
  const wordParts = word.split('.');
  const last = wordParts.at(-1) ?? '';
  const whole = edits(word, name);
  const parts = name.split('.').map((part) => edits(last, part));
  return Math.min(whole, ...parts);
}

/** The number of characters to insert, remove or replace. */
function edits(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [index, character] of [...one].entries()) {
    const next = [index + 1];
    for (let place = 1; place <= other.length; place += 1) {
      const replaced = (row[place - 1] ?? 0) + (other[place - 1] === character ? 0 : 1);
      next.push(Math.min(replaced, (row[place] ?? 0) + 1, (next[place - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
