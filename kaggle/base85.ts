/** Bytes as text in the alphabet of RFC 1924, as Python's `base64.b85decode` reads it: a quarter more, not a third. */

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
/** Four bytes are one number, written in five digits. */
const BYTES = 4;
const DIGITS = 5;

export function base85(content: Uint8Array): string {
  const padding = (BYTES - (content.length % BYTES)) % BYTES;
  const padded = new Uint8Array(content.length + padding);
  padded.set(content);
  const view = new DataView(padded.buffer);
  const words: string[] = [];
  for (let at = 0; at < padded.length; at += BYTES) words.push(digitsOf(view.getUint32(at)));
  const text = words.join("");
  return text.slice(0, text.length - padding);
}

function digitsOf(word: number): string {
  let digits = "";
  for (let rest = word, i = 0; i < DIGITS; ++i, rest = Math.floor(rest / ALPHABET.length)) {
    digits = ALPHABET[rest % ALPHABET.length]! + digits;
  }
  return digits;
}
