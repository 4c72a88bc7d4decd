// What others wrote, made fit to be shown. INVARIANT: no character comes out that moves a cursor, changes
// colours or turns the direction of text: each is shown by its code.

/** Control, format and direction characters, line and paragraph separators, halves of pairs. */
const UNSAFE = /\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}|\p{Cs}/gu;
/** A JSON text has the newline between its parts alone. */
const UNSAFE_IN_JSON = /(?!\n)\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}|\p{Cs}/gu;
const PLAIN = /^[\n\x20-\x7e]*$/;

/** With each such character as text, e.g. `\x1b`. */
export function harmless(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    const digits = code.toString(16);
    return code < 0x100 ? `\\x${digits.padStart(2, '0')}` : `\\u{${digits}}`;
  });
}

/** A JSON text with each such character as its escape: the same value when it is read. */
export function harmlessJson(json: string): string {
  if (PLAIN.test(json)) return json;
  return json.replace(UNSAFE_IN_JSON, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
