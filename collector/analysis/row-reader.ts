/** Reads a row's cells by the names of their columns. Cells of another kind than asked for count as absent: rows come from a hostile image. */
export class RowReader<Column extends string = string> {
  readonly #places: ReadonlyMap<string, number>;

  constructor(columns: readonly string[]) {
    this.#places = new Map(columns.map((column, place) => [column, place]));
  }

  /** The cell as well-formed text; undefined when it is absent. */
  text(row: readonly unknown[], column: Column): string | undefined {
    const cell = this.#cell(row, column);
    return typeof cell === 'string' ? cell.toWellFormed() : undefined;
  }

  /** The cell as an unsigned 32-bit number; undefined when it is absent or does not fit. */
  uint32(row: readonly unknown[], column: Column): number | undefined {
    const cell = this.#cell(row, column);
    const fits = typeof cell === 'number' && Number.isInteger(cell) && cell >= 0 && cell <= 0xffff_ffff;
    return fits ? cell : undefined;
  }

  flag(row: readonly unknown[], column: Column): boolean {
    return this.#cell(row, column) === true;
  }

  /** The cell as true or false; undefined when it is absent. */
  knownFlag(row: readonly unknown[], column: Column): boolean | undefined {
    const cell = this.#cell(row, column);
    return typeof cell === 'boolean' ? cell : undefined;
  }

  #cell(row: readonly unknown[], column: Column): unknown {
    const place = this.#places.get(column);
    return place === undefined ? undefined : row[place];
  }
}
