/** A generator's pieces and what it returned. */
export async function drain<Piece, Result>(
  generator: AsyncGenerator<Piece, Result>,
): Promise<{ readonly pieces: Piece[]; readonly result: Result }> {
  const pieces: Piece[] = [];
  for (;;) {
    const { value, done } = await generator.next();
    if (done) return { pieces, result: value };
    pieces.push(value);
  }
}
