/** Comparing answers by their words: case, accents, punctuation, articles and spacing say nothing. */

const ARTICLES = new Set(["a", "an", "the"]);

/**
 * The words of `text`, lower-case. Points and apostrophes vanish (`D.C.` is `dc`), other punctuation parts words. Articles
 * are left out unless they are all there is.
 */
export function wordsOf(text: string): string[] {
  const words = text
    .normalize("NFKD")
    .replace(/[\p{Mn}.'’]/gu, "")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "");
  const telling = words.filter((word) => !ARTICLES.has(word));
  return telling.length > 0 ? telling : words;
}

/** Whether both texts have the same words in the same order; texts without words are equal to nothing. */
export function sameWords(a: string, b: string): boolean {
  const words = wordsOf(a);
  return words.length > 0 && words.join(" ") === wordsOf(b).join(" ");
}

/** Whether the words of `part` stand in `text` one after the other. */
export function containsWords(text: string, part: string): boolean {
  const words = wordsOf(part);
  return words.length > 0 && ` ${wordsOf(text).join(" ")} `.includes(` ${words.join(" ")} `);
}
