/** One page of a list, as the API server gives it; `selfLink` is the length of the answer that it came in. */
export interface Page<T> {
  readonly items: T[];
  readonly metadata?: { readonly _continue?: string; readonly resourceVersion?: string; readonly selfLink?: string };
}

/** Reads one page of a list. */
export type ListPage<T> = (page: { limit: number; _continue?: string }) => Promise<Page<T>>;

/** A pod is 1.5 MiB at most, which is etcd's limit, and 4 MiB as JSON: a page of the largest is read in a second. */
const mostItems = 25;
const firstItems = 5;
/** As JSON. */
const wantedBytes = 4 << 20;

/** How many objects are asked for at once: whoever may make large ones must not hold up everybody by the list of them. */
export class PageSize {
  #items = firstItems;

  get items(): number {
    return this.#items;
  }

  /** A page of so many came. The next one has twice as many at most, as a large object is hardly alone. */
  took(items: number, bytes: number): void {
    const fitting = Math.floor((wantedBytes * items) / Math.max(1, bytes));
    this.#items = Math.max(1, Math.min(mostItems, 2 * this.#items, items === 0 ? mostItems : fitting));
  }

  /** A page could not be read, perhaps because it is too large. */
  failed(): void {
    this.#items = Math.max(1, this.#items >> 1);
  }
}

/** The objects of a list, page by page. Throws whatever a page throws. */
export async function* readPages<T>(list: ListPage<T>, size = new PageSize()): AsyncGenerator<Page<T>> {
  let next: string | undefined;
  do {
    const wanted = { limit: size.items, ...(next === undefined ? {} : { _continue: next }) };
    const page = await list(wanted).catch((error: unknown) => {
      size.failed();
      throw error;
    });
    size.took(page.items.length, Number(page.metadata?.selfLink) || 0);
    yield page;
    next = page.metadata?._continue || undefined;
  } while (next !== undefined);
}
