/**
 * LLVM's link-time optimization appends this to the name of a static object that another part of the program refers
 * to (kernel/kallsyms.c, cleanup_symbol_name). The object stays what it was; `.cold`, `.isra`, `.constprop` and
 * `.part` name other code than the plain name does.
 */
const suffix = /\.llvm\.[0-9a-f]+$/;

/** Gathers names with the suffix, to find what the source calls by the plain ones. */
export class PromotedNames {
  /** Full names by plain ones; undefined where several symbols have the plain name. */
  readonly #full = new Map<string, string | undefined>();

  /** Takes the name of a symbol; two symbols of one name are two. */
  note(name: string): void {
    if (!name.includes('.llvm.')) return;
    const plain = name.replace(suffix, '');
    if (plain !== name && plain !== '') this.#full.set(plain, this.#full.has(plain) ? undefined : name);
  }

  /** Plain names that no symbol of `taken` has, with the only name that each can mean. */
  *unambiguous(taken: ReadonlyMap<string, unknown>): Generator<readonly [plain: string, full: string]> {
    for (const [plain, full] of this.#full) if (full !== undefined && !taken.has(plain)) yield [plain, full];
  }
}
